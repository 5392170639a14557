"""``ackfirst quarantine``: list, show, recheck and drop callbacks that could not be verified."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import click
from redis.asyncio import Redis
from rich.console import Console

from ackfirst.ops.quarantine import tables, view
from ackfirst.ops.quarantine.recheck import Finding, Outcome, callback_of, recheck_entries, verifier
from ackfirst.ops.quarantine.selection import Selection, matching, selected
from ackfirst.ops.record.acts import note_act_if_recorded
from ackfirst.ops.terminal import CommandGroup, as_json, operator_settings
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.plural import plural
from ackfirst.shared.quarantine.review import Entry, QuarantineReview
from ackfirst.shared.quarantine.stream import QuarantineDepth
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.accounts_file import load_accounts

T = TypeVar("T")

#: Records that ``list`` shows without ``--limit``.
DEFAULT_LIMIT: Final = 50


@click.group(cls=CommandGroup)
def command() -> None:
    """Look at callbacks that could not be verified, and queue those that verify now.

    A callback is kept here if the configured secrets do not confirm its signature (a wrong or missing secret), if it
    is not signed, or if its body cannot be read. Correct the configuration, restart ingest, then run recheck.
    """


@command.command("list")
@selected
@click.option(
    "--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True, help="Most records to show."
)
@as_json
def list_(*, selection: Selection, limit: int, as_json: bool) -> None:
    """List the newest records, newest last."""
    settings = operator_settings()
    entries, depth = _run(settings, lambda redis: _newest(QuarantineReview(redis), selection, limit))
    rows = (view.row(entry, now=time.time()) for entry in reversed(entries))
    if as_json:
        for row in rows:
            _say(row)
    else:
        tables.show_list(rows, depth, _console())


@command.command()
@click.argument("entry_id", metavar="ID")
@click.option("--personal", is_flag=True, help="Show numbers and texts. Tokens and secrets are never shown.")
@as_json
def show(*, entry_id: str, personal: bool, as_json: bool) -> None:
    """Show one record, and how it would be verified today.

    Changes nothing.
    """
    settings = operator_settings()
    judge = verifier(settings, load_accounts(settings))
    entry = _run(settings, lambda redis: QuarantineReview(redis).get(entry_id))
    if entry is None:
        raise click.ClickException(f"no record {entry_id!r} is in quarantine")
    record = entry.record
    today = judge.verify(callback_of(record), now=record.received_at) if record else None
    shown = view.everything(entry, today, personal=personal, now=time.time())
    if as_json:
        _say(shown)
    else:
        tables.show_record(shown, _console())


@command.command()
@selected
@click.option("--dry-run", is_flag=True, help="Report what would happen, and write nothing.")
@as_json
def recheck(*, selection: Selection, dry_run: bool, as_json: bool) -> None:
    """Verify records again and queue those that pass, oldest first.

    Each callback is verified as of the time at which it arrived, with today's configuration. Those that still do not
    verify stay. May be stopped and run again at any time, also twice at once: each event is queued once.
    """
    settings = operator_settings()
    accounts = load_accounts(settings)
    findings: Counter[tuple[Outcome, str | None]] = Counter()
    has_ended = False

    def report(found: Finding) -> None:
        findings[tables.tally(found)] += 1
        if as_json:
            _say(view.finding(found))

    try:
        _run(settings, lambda redis: _recheck(redis, settings, accounts, selection, report, dry_run=dry_run))
        has_ended = True
    finally:  # what came before an error is done
        if findings and not dry_run:
            queued = sum(count for (outcome, _), count in findings.items() if outcome is Outcome.QUEUED)
            detail = f"{plural(findings.total(), 'record')}, {queued} queued"
            note_act_if_recorded(settings, "quarantine-rechecked", selection.subject(), detail)
        if not as_json and (findings or has_ended):
            tables.show_report(findings, _console(), dry_run=dry_run)


@command.command()
@click.argument("entry_ids", metavar="[ID]...", nargs=-1)
@selected
@click.option("--all", "everything", is_flag=True, help="All records that are in quarantine now.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@as_json
def drop(*, entry_ids: tuple[str, ...], selection: Selection, everything: bool, yes: bool, as_json: bool) -> None:
    """Delete records for good.

    Name them, or choose them by options.
    """
    if [bool(entry_ids), not selection.is_everything, everything].count(True) != 1:
        raise click.UsageError("name records, choose them by --account, --verdict and --since, or use --all")
    settings = operator_settings()
    chosen = _run(settings, lambda redis: _chosen(QuarantineReview(redis), entry_ids, selection))
    if chosen and not yes:
        click.confirm(f"Drop {plural(len(chosen), 'record')} for good?", abort=True, err=True)
    gone = _run(settings, lambda redis: QuarantineReview(redis).remove(chosen))
    note_act_if_recorded(settings, "quarantine-dropped", selection.subject(entry_ids), plural(gone.records, "record"))
    if as_json:
        _say({"dropped": gone.records, "bytes": gone.bytes})
    else:
        click.echo(f"{plural(gone.records, 'record')} dropped, {plural(gone.bytes, 'byte')}")


async def _recheck(
    redis: Redis,
    settings: Settings,
    accounts: Accounts,
    selection: Selection,
    report: Callable[[Finding], None],
    *,
    dry_run: bool,
) -> None:
    entries = matching(QuarantineReview(redis).oldest_first(), selection)
    await recheck_entries(redis, settings, accounts, entries, report, dry_run=dry_run)


async def _newest(review: QuarantineReview, selection: Selection, limit: int) -> tuple[list[Entry], QuarantineDepth]:
    found: list[Entry] = []
    async for entry in matching(review.newest_first(), selection):
        found.append(entry)
        if len(found) == limit:
            break
    return found, await review.depth()


async def _chosen(review: QuarantineReview, entry_ids: tuple[str, ...], selection: Selection) -> list[str]:
    if not entry_ids:
        return [entry.id async for entry in matching(review.oldest_first(), selection)]
    for entry_id in entry_ids:
        if await review.get(entry_id) is None:
            raise click.ClickException(f"no record {entry_id!r} is in quarantine")
    return list(entry_ids)


def _run(settings: Settings, work: Callable[[Redis], Coroutine[Any, Any, T]]) -> T:
    """Do ``work`` with a connection. If Redis does not confirm it: one sentence, and exit code 1."""
    url = settings.redis_url.get_secret_value()
    redis_client.reachable(url)

    async def connected() -> T:
        async with _client(url) as redis:
            return await work(redis)

    try:
        return asyncio.run(connected())
    except QueueUnavailableError as error:
        raise click.ClickException(str(error)) from error


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Redis]:
    redis = redis_client.async_redis(url)
    try:
        yield redis
    finally:
        await redis.aclose()


def _say(fields: dict[str, Any]) -> None:
    click.echo(json.dumps(fields))


def _console() -> Console:
    return Console(highlight=False, width=tables.WIDTH_COLUMNS)
