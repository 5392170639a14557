"""``ackfirst quarantine``: list, show, recheck and drop what nobody could vouch for."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import click
from redis.asyncio import Redis
from rich.console import Console

from ackfirst.ops.quarantine import tables, view
from ackfirst.ops.quarantine.options import as_json, selected
from ackfirst.ops.quarantine.order import by_arrival
from ackfirst.ops.quarantine.recheck import Finding, Outcome, Recheck, callback_of
from ackfirst.ops.quarantine.rehearsal import KeptRecords, RehearsedQueue
from ackfirst.ops.quarantine.selection import Selection
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.quarantine.review import Entry, QuarantineReview
from ackfirst.shared.quarantine.stream import QuarantineDepth
from ackfirst.shared.queue.dedupe import DEDUPE_SECONDS
from ackfirst.shared.queue.enqueue import Enqueuer
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.shared.verification import Verifier

T = TypeVar("T")

#: Records that ``list`` shows unless it is told otherwise.
LIMIT: Final = 50


@click.group()
def command() -> None:
    """Look at callbacks that nobody could vouch for, and queue those that verify now.

    A callback waits here because our configuration could not confirm it (a wrong or missing secret), because it
    came unsigned, or because its body cannot be read. Mend the configuration, restart ingest, then: recheck.
    """


@command.command("list")
@selected
@click.option("--limit", type=click.IntRange(min=1), default=LIMIT, show_default=True, help="Most records to show.")
@as_json
def list_(*, selection: Selection, limit: int, as_json: bool) -> None:
    """Show the newest records, newest last."""
    settings = load_settings(os.environ)
    entries, depth = _run(settings, lambda redis: _newest(QuarantineReview(redis), selection, limit))
    rows = (view.row(entry, now=time.time()) for entry in reversed(entries))
    if as_json:
        for row in rows:
            _say(row)
    else:
        tables.show_list(rows, depth, _console())


@command.command()
@click.argument("entry_id", metavar="ID")
@click.option("--personal", is_flag=True, help="Show numbers and texts. Tokens and secrets never are.")
@as_json
def show(*, entry_id: str, personal: bool, as_json: bool) -> None:
    """Show everything of one record.

    With what verification says of it today; the command changes nothing.
    """
    settings = load_settings(os.environ)
    verifier = _verifier(settings, load_accounts(settings))
    entry = _run(settings, lambda redis: QuarantineReview(redis).get(entry_id))
    if entry is None:
        raise click.ClickException(f"no record {entry_id!r} is in quarantine")
    record = entry.record
    today = verifier.verify(callback_of(record), now=record.received_at) if record else None
    shown = view.everything(entry, today, personal=personal, now=time.time())
    if as_json:
        _say(shown)
    else:
        tables.show_record(shown, _console())


@command.command()
@selected
@click.option("--dry-run", is_flag=True, help="Say what would happen and write nothing.")
@as_json
def recheck(*, selection: Selection, dry_run: bool, as_json: bool) -> None:
    """Verify again and queue what passes, oldest first.

    Each callback is verified as of the time at which it came, with today's configuration. What still is doubtful
    stays. May be stopped and run again at any time, also twice at once: each event is queued once.
    """
    settings = load_settings(os.environ)
    accounts = load_accounts(settings)
    findings: Counter[tuple[Outcome, str | None]] = Counter()

    def tell(found: Finding) -> None:
        findings[tables.tally(found)] += 1
        if as_json:
            _say(view.finding(found))

    try:
        _run(settings, lambda redis: _recheck(redis, settings, accounts, selection, tell, dry_run=dry_run))
    finally:
        if not as_json:
            tables.show_report(findings, _console(), dry_run=dry_run)


@command.command()
@click.argument("entry_ids", metavar="[ID]...", nargs=-1)
@selected
@click.option("--all", "everything", is_flag=True, help="All that is in quarantine now.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def drop(*, entry_ids: tuple[str, ...], selection: Selection, everything: bool, yes: bool, as_json: bool) -> None:
    """Throw records away for good.

    Those that are named, or those that the options choose.
    """
    if [bool(entry_ids), not selection.is_everything, everything].count(True) != 1:
        raise click.UsageError("name records, or choose them by --account, --verdict and --since, or say --all")
    settings = load_settings(os.environ)
    chosen = _run(settings, lambda redis: _chosen(QuarantineReview(redis), entry_ids, selection))
    if chosen and not yes:
        click.confirm(f"Throw {len(chosen):,} records away for good?", abort=True, err=True)
    gone = _run(settings, lambda redis: QuarantineReview(redis).remove(chosen))
    if as_json:
        _say({"dropped": gone.records, "bytes": gone.bytes})
    else:
        click.echo(f"{gone.records:,} records dropped, {gone.bytes:,} bytes")


async def _newest(review: QuarantineReview, selection: Selection, limit: int) -> tuple[list[Entry], QuarantineDepth]:
    found: list[Entry] = []
    async for entry in _selected(review.newest_first(), selection):
        found.append(entry)
        if len(found) == limit:
            break
    return found, await review.depth()


async def _chosen(review: QuarantineReview, entry_ids: tuple[str, ...], selection: Selection) -> list[str]:
    if not entry_ids:
        return [entry.id async for entry in _selected(review.oldest_first(), selection)]
    for entry_id in entry_ids:
        if await review.get(entry_id) is None:
            raise click.ClickException(f"no record {entry_id!r} is in quarantine")
    return list(entry_ids)


async def _recheck(
    redis: Redis,
    settings: Settings,
    accounts: Accounts,
    selection: Selection,
    tell: Callable[[Finding], None],
    *,
    dry_run: bool,
) -> None:
    review = QuarantineReview(redis)
    rehearsed = RehearsedQueue(redis, dedupe_seconds=DEDUPE_SECONDS)
    run = Recheck(
        judge=_verifier(settings, accounts),
        accounts=accounts,
        queue=rehearsed if dry_run else await _enqueuer(redis, settings),
        records=KeptRecords() if dry_run else review,
        tell=tell,
        clock=time.time,
    )
    await run.run(by_arrival(_selected(review.oldest_first(), selection)))


async def _selected(entries: AsyncIterable[Entry], selection: Selection) -> AsyncIterator[Entry]:
    async for entry in entries:
        if selection.takes(entry):
            yield entry


def _verifier(settings: Settings, accounts: Accounts) -> Verifier:
    return Verifier(accounts, max_age=settings.max_age)


async def _enqueuer(redis: Redis, settings: Settings) -> Enqueuer:
    enqueuer = Enqueuer(redis, settings.job_options, dedupe_seconds=DEDUPE_SECONDS)
    await enqueuer.prepare()
    return enqueuer


def _run(settings: Settings, work: Callable[[Redis], Coroutine[Any, Any, T]]) -> T:
    """Do ``work`` with a connection; what Redis does not confirm ends in a sentence and exit code 1."""
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
    return Console(highlight=False, width=tables.WIDTH)
