"""``ackfirst reconcile``: compare the record with Nexmo's own records of messages."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from ackfirst.ops.nexmo_api import NexmoApiError
from ackfirst.ops.nexmo_api.records import Direction, RecordsApi, ReportProduct, records_api_of
from ackfirst.ops.record.options import local as local_option
from ackfirst.ops.record.reconciliation import (
    Difference,
    ListedIds,
    Reconciliation,
    Span,
    Verdict,
    kinds_of,
    known_after_all,
    listed_ids,
)
from ackfirst.ops.record.render import Column, Times, console, say_json, show_table
from ackfirst.ops.record.reports import ProviderRecord, ReportError, provider_record, read_report
from ackfirst.ops.record.sources import FOUND, Sources, recorded
from ackfirst.ops.terminal import MOMENT
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.plural import plural
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.shared.store import Store

#: Differences that a table shows without ``--limit``.
DEFAULT_LIMIT: Final = 50
#: Seconds before now at which the span ends: a callback may be on its way.
SETTLED_SECONDS: Final = 600.0

_COLUMNS: Final = (
    Column("what"),
    Column("message"),
    Column("at Nexmo", rank=1),
    Column("here", rank=1),
    Column("direction", rank=2),
    Column("at", rank=3),
    Column("product", rank=4),
    Column("", rank=5, folds=True),
)


@click.command()
@click.option("--since", type=MOMENT, required=True, help="Messages since: 24h, 7d, 2026-03-04T09:15Z.")
@click.option("--until", type=MOMENT, help="Messages before. [default: ten minutes ago]")
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A report that was downloaded (CSV, ZIP, JSON) instead of the Reports API. [repeatable]",
)
@click.option("--product", type=click.Choice(["messages", "sms"]), help="Only this API's messages.")
@click.option("--direction", type=click.Choice(["inbound", "outbound"]), help="Only messages of this direction.")
@click.option("--account", metavar="API_KEY", help="Only this account.")
@click.option("--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True, help="Rows of a table.")
@local_option
@json_option
def command(
    *,
    since: float,
    until: float | None,
    reports: tuple[Path, ...],
    product: str | None,
    direction: str | None,
    account: str | None,
    limit: int,
    local: bool,
    as_json: bool,
) -> None:
    """Compare Nexmo's own records of messages with what arrived here.

    Lists messages that Nexmo has and of which no callback, or not the last status, ever came; and events of messages
    that Nexmo does not list. The Reports API is paid by the record; a report from Nexmo's dashboard does as well.

    Exit code 1 if anything differs.
    """
    until = min(until or time.time(), time.time() - SETTLED_SECONDS)
    if since >= until:
        raise click.UsageError("--since must be before --until, and more than ten minutes ago")
    kinds = kinds_of(product and product.upper(), direction)
    span = Span(kinds=kinds, account=account, since=since, until=until)
    times = Times(local=local)
    found: list[Difference] = []
    counted: Counter[Verdict] = Counter()

    async def compare(sources: Sources, store: Store) -> Reconciliation:
        gaps = store.gaps(since)
        run = Reconciliation(store, sources.live, gaps)
        with listed_ids() as listed:
            differences = _with_files(run, reports, span, listed) if reports else _with_api(run, sources, span, listed)
            async for difference in differences:
                counted[difference.verdict] += 1
                if as_json:
                    say_json(_object(difference, times))
                elif len(found) < limit:
                    found.append(difference)
        return run

    with recorded() as (sources, store):
        try:
            run = asyncio.run(compare(sources, store))
        except (NexmoApiError, ReportError) as error:
            raise click.ClickException(str(error)) from error
    for note in run.notes:
        click.echo(f"ackfirst: {note}", err=True)
    if not as_json:
        _show(found, counted, run, times)
    raise SystemExit(FOUND if counted else 0)


async def _with_files(
    run: Reconciliation, reports: Sequence[Path], span: Span, listed: ListedIds
) -> AsyncIterator[Difference]:
    kinds: set[tuple[ReportProduct, Direction]] = set()

    async def records() -> AsyncIterator[ProviderRecord]:
        for path in reports:
            for record in read_report(path):
                if span.has(record):
                    kinds.add((record.product, record.direction))
                    yield record

    async for difference in run.missing(records(), listed):
        yield difference
    # Of a product or direction that no file is about nothing can be said.
    for difference in run.unlisted(replace(span, kinds=sorted(kinds)), listed):
        if not run.is_near_the_end(difference):
            yield difference


async def _with_api(run: Reconciliation, sources: Sources, span: Span, listed: ListedIds) -> AsyncIterator[Difference]:
    async with AsyncExitStack() as stack:
        apis = {
            one.api_key: await stack.enter_async_context(records_api_of(sources.settings, one))
            for one in load_accounts(sources.settings)
            if one.api_secret and span.account in (None, one.api_key)
        }
        if not apis:
            whose = f"of account {span.account}" if span.account else "of any account"
            raise ConfigurationError(
                f"the account secret {whose} is not known: set ACKFIRST_API_SECRET or api_secret, or use --report"
            )
        async for difference in run.missing(_records(apis, span), listed):
            yield difference
        # Of accounts whose secret is not known nothing can be said.
        ours = (one for one in run.unlisted(span, listed) if one.account is None or one.account in apis)
        async for difference in known_after_all(ours, lambda page: _known(apis, page)):
            yield difference


async def _records(apis: dict[str, RecordsApi], span: Span) -> AsyncIterator[ProviderRecord]:
    start, end = datetime.fromtimestamp(span.since, UTC), datetime.fromtimestamp(span.until, UTC)
    for api in apis.values():
        for product, direction in span.kinds:
            async for fields in api.records(product, direction, start, end):
                if (record := provider_record(fields, product=product, direction=direction)) is not None:
                    yield record


async def _known(apis: dict[str, RecordsApi], page: Sequence[Difference]) -> AsyncIterator[str]:
    """Yield the ids of those messages that Nexmo knows, whenever they were sent."""
    groups: dict[tuple[str | None, ReportProduct, Direction], list[str]] = {}
    for one in page:
        groups.setdefault((one.account, one.product, one.direction), []).append(one.message_id)
    for (owner, product, direction), ids in groups.items():
        for api_key, api in apis.items():
            if owner not in (None, api_key):
                continue
            async for fields in api.records_of(product, direction, list(dict.fromkeys(ids))):
                if message_id := fields.get("message_id"):
                    yield str(message_id)


def _object(difference: Difference, times: Times) -> dict[str, Any]:
    return {
        "kind": difference.verdict.value,
        "message_id": difference.message_id,
        "event_id": difference.event_id,
        "product": difference.product.lower(),
        "direction": difference.direction,
        "at": times.iso(difference.at),
        "status": difference.status,
        "seen": difference.seen,
        "account": difference.account,
        "reason": difference.reason,
    }


def _show(found: list[Difference], counted: Counter[Verdict], run: Reconciliation, times: Times) -> None:
    out = console()
    if found:
        rows = (
            (
                one.verdict.value,
                one.message_id,
                None if one.verdict is Verdict.UNLISTED else one.status,
                one.status if one.verdict is Verdict.UNLISTED else one.seen,
                one.direction,
                times.fitting(one.at, out.width),
                one.product.lower(),
                one.reason or " ",
            )
            for one in found
        )
        show_table(out, _COLUMNS, rows)
    total = sum(counted.values())
    said = ", ".join(f"{count:,} {verdict.value}" for verdict, count in counted.items()) or "nothing differs"
    more = f" ({len(found):,} shown; --limit, or --json for all)" if total > len(found) else ""
    compared = f"{plural(run.compared, 'record')} of Nexmo and {plural(run.events, 'event')} compared"
    out.print(f"{compared}: {said}{more}", soft_wrap=True)
    if run.skipped:
        out.print(
            f"{plural(run.skipped, 'event')} near the ends of the report left out: another one may have the messages",
            soft_wrap=True,
        )
