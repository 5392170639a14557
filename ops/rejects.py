"""``ackfirst rejects``: entries of lanes that no worker could run: look at them, queue them again, drop them."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import click
from redis import Redis
from redis.exceptions import RedisError
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ackfirst.shared import masking
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.rejects import LIMIT, Reject
from ackfirst.shared.queue.scripts import source
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import load_settings

_SCRIPT: Final = source("ackfirst.shared.queue", "requeue_reject.lua")

#: Fields of a job hash that say nothing of a person.
_HARMLESS: Final = frozenset((
    "status", "origin", "created_at", "enqueued_at", "started_at", "ended_at", "timeout", "result_ttl", "failure_ttl",
    "retries_left", "retry_intervals", "worker_name", "ackfirst_kills",
))  # fmt: skip

_REFUSALS: Final = {
    "gone": "it is not on record any more",
    "no-hash": "its job hash is gone: there is nothing to queue",
}

#: Columns at the least: ids are there to be copied.
WIDTH: Final = 120

_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group()
def command() -> None:
    """Look at what stood in a lane and could not be run.

    An id without a job, a job hash that cannot be read, bytes that are no id: such entries are taken out of the way so
    that they stop nobody, and kept on record, the newest 5,000.
    """


@command.command("list")
@click.option("--lane", help="Only of this lane.")
@_as_json
def list_(*, lane: str | None, as_json: bool) -> None:
    """Show what was set aside, oldest first."""
    with _redis() as redis:
        records = [record for record in _records(redis) if lane in (None, record.lane)]
    if as_json:
        for record in records:
            click.echo(json.dumps(_row(record)))
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("id", no_wrap=True)
    table.add_column("set aside", no_wrap=True)
    for name in ("lane", "place", "entry", "reason"):
        table.add_column(name, overflow="fold")
    for record in records:
        table.add_row(*map(escape, _row(record).values()))
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    console.print(table if records else "Nothing is set aside.")


@command.command()
@click.argument("record_id", metavar="ID")
@click.option("--personal", is_flag=True, help="Show the job's data: numbers and texts of people.")
@_as_json
def show(*, record_id: str, personal: bool, as_json: bool) -> None:
    """Show one entry with its job hash, as far as it is still there."""
    with _redis() as redis:
        record = _record(redis, record_id)
        fields = _job_hash(redis, record)
    row = _row(record)
    job = {_text(name): _value(_text(name), value, personal=personal) for name, value in fields.items()}
    if as_json:
        click.echo(json.dumps({**row, "job": job}))
        return
    for name, text in row.items():
        click.echo(f"{name:<10} {text}")
    click.echo("job" if job else "job        no hash is left")
    for name, text in job.items():
        click.echo(f"  {name:<16} {text}")


@command.command()
@click.argument("record_ids", metavar="ID...", nargs=-1, required=True)
@_as_json
def requeue(*, record_ids: tuple[str, ...], as_json: bool) -> None:
    """Put entries back into their lanes, once what was wrong with them is mended.

    Exit code 1 when one cannot be put back; it stays on record.
    """
    failed = False
    with _redis() as redis:
        for record_id in record_ids:
            record = _record(redis, record_id)
            came = _requeue(redis, record)
            failed = failed or came in _REFUSALS
            if as_json:
                click.echo(json.dumps({"id": record_id, "outcome": came}))
            else:
                click.echo(f"{record_id}  {record.shown}: {_REFUSALS.get(came, came)}")
    raise SystemExit(int(failed))


@command.command()
@click.argument("record_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that is on record now.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(*, record_ids: tuple[str, ...], everything: bool, yes: bool) -> None:
    """Throw records away for good. A job hash of one expires by itself."""
    if bool(record_ids) == everything:
        raise click.UsageError("name records, or say --all")
    with _redis() as redis:
        chosen = [record.id for record in _records(redis)] if everything else list(record_ids)
        if chosen and not yes:
            click.confirm(f"Throw {len(chosen):,} records away for good?", abort=True, err=True)
        gone = sum(int(redis.xdel(keys.REJECTS, one)) for one in chosen)
    click.echo(f"{gone:,} records dropped")


def _requeue(redis: Redis, record: Reject) -> str:
    if record.job_id is None:
        return "no-hash"
    names = [keys.REJECTS, keys.job(record.job_id), keys.queue(record.lane), keys.LANES, keys.BELL]
    names += [keys.RQ_QUEUES, keys.READY]
    now = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    arguments = (record.id, record.job_id, record.lane, now, keys.BELL_LIMIT)
    return _text(redis.eval(_SCRIPT, len(names), *names, *arguments))


def _records(redis: Redis) -> list[Reject]:
    rows: Any = redis.xrange(keys.REJECTS, count=2 * LIMIT)
    return [Reject.decode(*row) for row in rows]


def _record(redis: Redis, record_id: str) -> Reject:
    found = next((record for record in _records(redis) if record.id == record_id), None)
    if found is None:
        raise click.ClickException(f"nothing was set aside under the id {record_id!r}: ackfirst rejects list")
    return found


def _job_hash(redis: Redis, record: Reject) -> dict[bytes, bytes]:
    if record.job_id is None or redis.type(keys.job(record.job_id)) != b"hash":
        return {}
    fields: Any = redis.hgetall(keys.job(record.job_id))
    return dict(fields)


def _row(record: Reject) -> dict[str, str]:
    at = datetime.fromtimestamp(record.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": record.id,
        "at": at,
        "lane": record.lane,
        "place": record.place,
        "entry": record.shown,
        "reason": record.reason,
    }


def _value(name: str, value: bytes, *, personal: bool) -> str:
    text = _text(value)
    return text if personal or name in _HARMLESS else masking.text(text)


def _text(value: Any) -> str:
    """Printable, whatever it holds: it must not steer a terminal."""
    words = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in words)


@contextmanager
def _redis() -> Iterator[Redis]:
    url = load_settings(os.environ).redis_url.get_secret_value()
    redis_client.reachable(url)
    with closing(redis_client.sync_redis(url)) as redis:
        try:
            yield redis
        except RedisError as error:
            raise click.ClickException(f"Redis did not answer: {error}") from error
