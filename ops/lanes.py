"""``ackfirst lanes``: list the lanes, and pause or resume one. The operator's page uses the same functions."""

import asyncio
import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click
from redis import Redis

from ackfirst.ops.quarantine.tables import age
from ackfirst.ops.record.acts import note_act_if_recorded, operator
from ackfirst.ops.record.render import Column, console, show_table
from ackfirst.ops.terminal import as_json, operator_settings, printable, queue_redis
from ackfirst.shared.accounts import is_lane
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.snapshot import LaneDepth, QueueSnapshot, take_snapshot
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings

_COLUMNS: Final = (
    Column("lane"),
    Column("waiting", is_number=True),
    Column("oldest", rank=1, is_number=True),
    Column("running", rank=3, is_number=True),
    Column("retries", rank=2, is_number=True),
    Column("dead", is_number=True),
    Column("paused", folds=True),
)

#: Characters of a name that is kept beside a pause.
_LONGEST_NAME: Final = 64


class UnknownLaneError(Exception):
    """There is no lane of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One lane at one moment."""

    name: str
    waiting: int
    retries: int
    dead_letters: int
    running: int
    oldest_seconds: float
    """Age of the event that waits longest; 0 when none waits."""
    is_unserved: bool = False
    """True if events wait and no living worker serves the lane."""
    paused_at: float | None = None
    """Unix seconds; None while workers take from it."""
    paused_by: str | None = None


def lanes_of(redis: Redis, snapshot: QueueSnapshot) -> list[Lane]:
    """Return the lanes of a snapshot by name, with their pauses; a paused lane is listed even if it holds nothing.

    Raises:
        RedisError: Redis does not answer.
    """
    pauses = _pauses(redis)
    nothing = LaneDepth(waiting=0, retries=0, dead_letters=0, oldest_seconds=0.0)
    depths = {**dict.fromkeys(sorted(pauses), nothing), **snapshot.lanes}
    with redis.pipeline(transaction=False) as pipeline:
        for name in depths:
            pipeline.zcard(keys.running(name))
        counts = pipeline.execute(raise_on_error=False)
    return [
        Lane(
            name=name,
            waiting=depth.waiting,
            retries=depth.retries,
            dead_letters=depth.dead_letters,
            running=running if isinstance(running, int) else 0,
            oldest_seconds=depth.oldest_seconds,
            is_unserved=depth.is_unserved,
            **_pause_fields(pauses.get(name)),
        )
        for (name, depth), running in zip(sorted(depths.items()), counts, strict=True)
    ]


def pause(redis: Redis, lane: str, *, who: str, now: float) -> bool:
    """Let workers take nothing more from a lane; what runs goes on. False if it was paused already.

    Raises:
        UnknownLaneError: There is no such lane.
        RedisError: Redis does not answer.
    """
    if not is_lane(lane) or not redis.sismember(keys.LANES, lane):
        raise UnknownLaneError(lane)
    return bool(redis.hsetnx(keys.PAUSED, lane, f"{now:.3f} {printable(who)[:_LONGEST_NAME]}"))


def resume(redis: Redis, lane: str) -> bool:
    """Let workers take from a lane again, and wake those that idle. False if it was not paused.

    Raises:
        RedisError: Redis does not answer.
    """
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.hdel(keys.PAUSED, lane)
        pipeline.lpush(keys.BELL, "1")  # an idle worker looks again in seconds by itself; this makes it at once
        pipeline.ltrim(keys.BELL, 0, keys.BELL_LIMIT - 1)
        resumed, *_ = pipeline.execute()
    return bool(resumed)


def _pauses(redis: Redis) -> dict[str, str]:
    fields: Any = redis.hgetall(keys.PAUSED)
    return {name.decode(errors="replace"): text.decode(errors="replace") for name, text in fields.items()}


def _pause_fields(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    at, _, who = text.partition(" ")
    try:
        return {"paused_at": float(at), "paused_by": who or None}
    except ValueError:  # written by hand: the lane is paused all the same
        return {"paused_at": 0.0, "paused_by": None}


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """List the lanes: what waits, runs and has failed in each, and which are paused.

    Pause a lane while its handler's service is down: its events wait, and no other lane notices.
    """
    if ctx.invoked_subcommand is not None:
        return
    settings = operator_settings()
    with queue_redis(settings) as redis:
        lanes = lanes_of(redis, asyncio.run(_snapshot(settings)))
    if as_json:
        for lane in lanes:
            click.echo(json.dumps(asdict(lane)))
        return
    if not lanes:
        click.echo("There are no lanes: nothing waits, runs or has failed.")
        return
    columns = _COLUMNS if any(lane.paused_at is not None for lane in lanes) else _COLUMNS[:-1]
    show_table(console(), columns, map(_row, lanes))


def _row(lane: Lane) -> tuple[str, ...]:
    oldest = age(lane.oldest_seconds) if lane.waiting else "-"
    paused = f"since {_utc(lane.paused_at)} by {lane.paused_by or '?'}" if lane.paused_at is not None else ""
    numbers = (lane.waiting, lane.running, lane.retries, lane.dead_letters)
    waiting, running, retries, dead = (f"{number:,}" for number in numbers)
    return printable(lane.name), waiting, oldest, running, retries, dead, printable(paused)


@command.command("pause")
@click.argument("lane")
def pause_command(*, lane: str) -> None:
    """Let workers take nothing more from LANE. Events go on arriving, and wait.

    A stock rq worker does not know of pauses.
    """
    settings = operator_settings()
    with queue_redis(settings) as redis:
        try:
            new = pause(redis, lane, who=operator(), now=time.time())
        except UnknownLaneError as error:
            raise click.ClickException(f"there is no lane {lane!r}: ackfirst lanes lists all") from error
    if new:
        note_act_if_recorded(settings, "lane-paused", printable(lane))
    click.echo(f"{lane} is paused" if new else f"{lane} was paused before")


@command.command("resume")
@click.argument("lane")
def resume_command(*, lane: str) -> None:
    """Let workers take from LANE again."""
    settings = operator_settings()
    with queue_redis(settings) as redis:
        was_paused = resume(redis, lane)
    if was_paused:
        note_act_if_recorded(settings, "lane-resumed", printable(lane))
    click.echo(f"{lane} is resumed" if was_paused else f"{lane} was not paused")


async def _snapshot(settings: Settings) -> QueueSnapshot:
    redis = redis_client.async_redis(settings.redis_url.get_secret_value())
    try:
        return await take_snapshot(redis, now=time.time(), failure_ttl=settings.failure_ttl)
    finally:
        await redis.aclose()


def _utc(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds or 0.0, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
