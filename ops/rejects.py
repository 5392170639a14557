"""``ackfirst rejects``: list, show, requeue and drop entries of lanes that no worker could run."""

import json
import time
from datetime import UTC, datetime
from typing import Any, Final

import click
from redis import Redis
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ackfirst.ops.record.acts import note_act_if_recorded
from ackfirst.ops.terminal import CommandGroup, as_json, operator_settings, printable, queue_redis
from ackfirst.shared import masking
from ackfirst.shared.plural import plural
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.rejects import LIMIT, Reject
from ackfirst.shared.queue.scripts import source

_SCRIPT: Final = source("ackfirst.shared.queue", "requeue_reject.lua")

#: Fields of a job hash that hold no personal data.
_HARMLESS: Final = frozenset((
    "status", "origin", "created_at", "enqueued_at", "started_at", "ended_at", "timeout", "result_ttl", "failure_ttl",
    "retries_left", "retry_intervals", "worker_name", "ackfirst_kills",
))  # fmt: skip

_REFUSALS: Final = {
    "gone": "it is no longer on record",
    "no-hash": "its job hash is gone: there is nothing to queue",
}

#: Least width of a table: ids are there to be copied.
WIDTH_COLUMNS: Final = 120


@click.group(cls=CommandGroup)
def command() -> None:
    """Look at entries of lanes that no worker could run.

    An id without a job, a job hash that cannot be read, bytes that are no id: such an entry is removed from its lane,
    so that it blocks no other, and kept on record. The newest 5,000 are kept.
    """


@command.command("list")
@click.option("--lane", help="Only of this lane.")
@as_json
def list_(*, lane: str | None, as_json: bool) -> None:
    """List the records, oldest first."""
    with queue_redis(operator_settings()) as redis:
        records = [record for record in _records(redis) if lane in (None, record.lane)]
    if as_json:
        for record in records:
            click.echo(json.dumps(_row(record)))
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("id", no_wrap=True)
    table.add_column("rejected", no_wrap=True)
    for name in ("lane", "place", "entry", "reason"):
        table.add_column(name, overflow="fold")
    for record in records:
        table.add_row(*map(escape, _row(record).values()))
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH_COLUMNS)
    console.print(table if records else "There are no rejects.")


@command.command()
@click.argument("record_id", metavar="ID")
@click.option("--personal", is_flag=True, help="Show the job's data, with numbers and texts.")
@as_json
def show(*, record_id: str, personal: bool, as_json: bool) -> None:
    """Show one record, and its job hash if it still exists."""
    with queue_redis(operator_settings()) as redis:
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
@as_json
def requeue(*, record_ids: tuple[str, ...], as_json: bool) -> None:
    """Put entries back into their lanes, once their cause is fixed.

    Exit code 1 if one cannot be put back; it stays on record.
    """
    settings, outcomes = operator_settings(), []
    with queue_redis(settings) as redis:
        try:
            for record_id in record_ids:
                record = _record(redis, record_id)
                outcomes.append(outcome := _requeue(redis, record))
                if as_json:
                    click.echo(json.dumps({"id": record_id, "outcome": outcome}))
                else:
                    click.echo(f"{record_id}  {record.shown}: {_REFUSALS.get(outcome, outcome)}")
        finally:  # an id that is not there ends the command; what came before it is done
            requeued = sum(outcome not in _REFUSALS for outcome in outcomes)
            note_act_if_recorded(settings, "rejects-requeued", json.dumps(list(record_ids)), plural(requeued, "record"))
    raise SystemExit(int(requeued < len(outcomes)))


@command.command()
@click.argument("record_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All records.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def drop(*, record_ids: tuple[str, ...], everything: bool, yes: bool) -> None:
    """Delete records for good. A job hash that still exists expires by itself."""
    if bool(record_ids) == everything:
        raise click.UsageError("name records, or use --all")
    settings = operator_settings()
    with queue_redis(settings) as redis:
        chosen = (
            [record.id for record in _records(redis)] if everything else [_record(redis, one).id for one in record_ids]
        )
        if chosen and not yes:
            click.confirm(f"Drop {plural(len(chosen), 'record')} for good?", abort=True, err=True)
        gone = sum(int(redis.xdel(keys.REJECTS, one)) for one in chosen)
    note_act_if_recorded(settings, "rejects-dropped", json.dumps(list(record_ids) or "all"), plural(gone, "record"))
    click.echo(f"{plural(gone, 'record')} dropped")


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
        raise click.ClickException(f"there is no record {record_id!r}: ackfirst rejects list shows all")
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
    return printable(value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value))
