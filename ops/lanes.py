"""``ackfirst lanes``: list the lanes, and pause or resume one. The operator's page uses the same functions."""

import getpass
import heapq
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click
from redis import Redis
from redis.exceptions import RedisError
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ackfirst.ops.quarantine.tables import age
from ackfirst.ops.terminal import as_json, operator_settings, printable
from ackfirst.shared.accounts import is_lane
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.scripts import source
from ackfirst.shared.redis import client as redis_client

#: Lanes that one call of the script asks: less than a millisecond of the server's time.
LANES_A_CALL: Final = 250
#: Lanes that are listed unless the caller wants more: the deepest, then those with the oldest event.
SHOWN_LANES: Final = 200
#: Characters of a name that is kept beside a pause.
_LONGEST_NAME: Final = 64


class UnknownLaneError(Exception):
    """No lane can have this name, or none of this name holds anything and none is paused."""


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
    paused_at: float | None = None
    """Unix seconds; None while workers take from it."""
    paused_by: str | None = None


def read_lanes(redis: Redis, *, now: float, limit: int = SHOWN_LANES) -> tuple[list[Lane], int]:
    """Read the lanes that hold most, paused ones included, by name; and how many lanes there are.

    Raises:
        RedisError: Redis does not answer.
    """
    script = redis.register_script(source("ackfirst.shared.queue", "lane_depths.lua"))
    prefixes = (keys.queue(""), keys.scheduled(""), keys.failed(""), keys.job(""))
    pauses = _pauses(redis)
    found: dict[str, Lane] = {}
    total = 0
    cursor: Any = 0
    while True:
        cursor, *cells = script(keys=[keys.LANES], args=[cursor, LANES_A_CALL, *prefixes, 0])
        rows = [
            Lane(
                name=name.decode(errors="replace"),
                waiting=waiting,
                retries=retries,
                dead_letters=dead,
                running=0,
                oldest_seconds=_age(queued_at, now),
            )
            for name, waiting, retries, dead, _, queued_at in zip(*(iter(cells),) * 6, strict=True)
        ]
        total += len(rows)
        found.update((lane.name, lane) for lane in rows)
        if len(found) > 2 * limit:
            found = _fullest(found, limit, pauses)
        if not int(cursor):
            break
    missing = [name for name in pauses if name not in found]
    for name in missing:
        found[name] = Lane(name=name, waiting=0, retries=0, dead_letters=0, running=0, oldest_seconds=0.0)
    shown = _fullest(found, limit, pauses)
    running = _running(redis, shown)
    lanes = [
        Lane(**{**asdict(lane), "running": running[name], **_pause_fields(pauses.get(name))})
        for name, lane in sorted(shown.items())
    ]
    return lanes, total + len(missing)


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


def _fullest(lanes: dict[str, Lane], limit: int, always: dict[str, str]) -> dict[str, Lane]:
    if len(lanes) <= limit:
        return lanes
    names = heapq.nlargest(limit, lanes, key=lambda name: (lanes[name].waiting, lanes[name].oldest_seconds))
    return {name: lanes[name] for name in {*names, *(name for name in always if name in lanes)}}


def _running(redis: Redis, names: dict[str, Lane]) -> dict[str, int]:
    with redis.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.zcard(keys.running(name))
        counts = pipeline.execute(raise_on_error=False)
    return {name: count if isinstance(count, int) else 0 for name, count in zip(names, counts, strict=True)}


def _age(queued_at: bytes, now: float) -> float:
    try:
        moment = datetime.fromisoformat(queued_at.decode())
    except ValueError:
        return 0.0
    return max(0.0, now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """List the lanes: what waits, runs and has failed in each, and which are paused.

    Pause a lane while its handler's service is down: its events wait, and no other lane notices.
    """
    if ctx.invoked_subcommand is not None:
        return
    with _redis() as redis:
        lanes, total = read_lanes(redis, now=time.time())
    if as_json:
        for lane in lanes:
            click.echo(json.dumps(asdict(lane)))
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("lane", "waiting", "oldest", "running", "retries", "dead", "paused"):
        table.add_column(name, no_wrap=True, justify="left" if name in ("lane", "paused") else "right")
    for lane in lanes:
        numbers = (lane.waiting, age(lane.oldest_seconds) if lane.waiting else "-", lane.running, lane.retries)
        paused = f"since {_utc(lane.paused_at)} by {lane.paused_by or '?'}" if lane.paused_at is not None else ""
        table.add_row(*(Text(str(cell)) for cell in (printable(lane.name), *numbers, lane.dead_letters, paused)))
    console = Console(highlight=False)
    console.width = max(console.width, 120)
    console.print(table if lanes else "There are no lanes: nothing waits, runs or has failed.")
    if total > len(lanes):
        click.echo(f"{len(lanes):,} shown of {total:,} lanes")


@command.command("pause")
@click.argument("lane")
def pause_command(*, lane: str) -> None:
    """Let workers take nothing more from LANE. Events go on arriving, and wait.

    A stock rq worker does not know of pauses.
    """
    with _redis() as redis:
        try:
            new = pause(redis, lane, who=_user(), now=time.time())
        except UnknownLaneError as error:
            raise click.ClickException(f"there is no lane {lane!r}: ackfirst lanes lists all") from error
    click.echo(f"{lane} is paused" if new else f"{lane} was paused before")


@command.command("resume")
@click.argument("lane")
def resume_command(*, lane: str) -> None:
    """Let workers take from LANE again."""
    with _redis() as redis:
        was_paused = resume(redis, lane)
    click.echo(f"{lane} is resumed" if was_paused else f"{lane} was not paused")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "cli"


def _utc(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds or 0.0, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


@contextmanager
def _redis() -> Iterator[Redis]:
    url = operator_settings().redis_url.get_secret_value()
    redis_client.reachable(url)
    with closing(redis_client.sync_redis(url)) as redis:
        try:
            yield redis
        except RedisError as error:
            raise click.ClickException(f"Redis did not answer: {error}") from error
