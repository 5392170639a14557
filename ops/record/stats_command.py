"""``ackfirst stats``: rates, delays, slow handlers, what waits, and where the record has gaps."""

import time
from collections.abc import Mapping
from typing import Any, Final

import click
from rich.console import Console

from ackfirst.ops.record.chart import sparkline
from ackfirst.ops.record.figures import SHARES, Figures, as_object, figures, quantile, series
from ackfirst.ops.record.options import local as local_option
from ackfirst.ops.record.render import Column, Times, console, duration, say_json, show_table
from ackfirst.ops.record.sources import recorded
from ackfirst.ops.terminal import MOMENT
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.shared.plural import plural
from ackfirst.shared.queue.snapshot import LaneDepth
from ackfirst.shared.store.results import Stats

#: Without ``--since``.
DEFAULT_SPAN_SECONDS: Final = 86_400.0
#: Lanes and handlers that a table names.
SHOWN: Final = 10
#: Widest chart, in columns.
CHART_COLUMNS: Final = 72
_LABEL_COLUMNS: Final = 11
#: Charts: label, kind of counts, and which of them; none for all.
_CHARTS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("events", "family", ()),
    ("dead", "outcome", ("dead",)),
    ("refused", "request", ("refused",)),
)
_MINUTE_SECONDS: Final = 60

_HANDLER_COLUMNS: Final = (
    Column("handler"),
    Column("runs", is_number=True),
    Column("failed", is_number=True),
    Column("p50", is_number=True),
    Column("p99", is_number=True),
    Column("last error", rank=1, folds=True),
)
_LANE_COLUMNS: Final = (
    Column("lane"),
    Column("oldest", is_number=True),
    Column("waiting", is_number=True),
    Column("retries", is_number=True),
    Column("dead", rank=1, is_number=True),
    Column(""),
)


@click.command()
@click.option("--since", type=MOMENT, help="Of the time since: 2h, 7d, 2026-03-04T09:15Z. [default: 24h]")
@click.option("--until", type=MOMENT, help="Of the time before. [default: now]")
@local_option
@json_option
def command(*, since: float | None, until: float | None, local: bool, as_json: bool) -> None:
    """Show rates by family, verdict and outcome, delays, the slowest handlers, what waits, and gaps of the record.

    Counts come from sums that are kept by minute (of the last two days) and by hour, so the ends of a span are moved
    outwards to whole steps.
    """
    now = time.time()
    until = now if until is None else until
    since = until - DEFAULT_SPAN_SECONDS if since is None else since
    if since >= until:
        raise click.UsageError("--since must be before --until")
    with recorded() as (sources, store):
        shown = figures(store, sources.redis, sources.settings, since=since, until=until, now=now)
    times = Times(local=local)
    if as_json:
        say_json(as_object(shown, times))
        return
    _show(shown, times)
    if shown.trouble:
        click.echo(f"ackfirst: Redis does not answer ({shown.trouble}): what waits is not known", err=True)


def _show(shown: Figures, times: Times) -> None:
    out, found = console(), shown.stats
    unit = "minute" if found.step == _MINUTE_SECONDS else "hour"
    out.print(f"{times.second(found.since)} to {times.second(found.until)} {times.zone(found.until)}, by {unit}\n")
    _show_charts(out, found, unit)
    _show_totals(out, found)
    if found.handlers:
        out.print()
        rows = (
            (one.handler, f"{one.runs:,}", f"{one.failures:,}", _upper(one.p50), _upper(one.p99), one.last_error)
            for one in found.handlers[:SHOWN]
        )
        show_table(out, _HANDLER_COLUMNS, rows)
    if lanes := shown.lanes:
        out.print()
        show_table(out, _LANE_COLUMNS, (_lane_row(*lane) for lane in lanes[:SHOWN]))
        if more := len(lanes) - SHOWN:
            out.print(f"and {plural(more, 'more lane')}" if more > 0 else "")
    elif shown.queue is not None:
        _line(out, "waiting", "nothing")
    if shown.behind:
        _line(out, "record", f"{duration(shown.behind)} behind")
    for gap in found.gaps:
        span = f"{times.second(gap.from_at)} to {times.second(gap.to_at)}"
        _line(out, "gap", f"{plural(gap.count, 'event')} of {span} not recorded: {gap.reason}")


def _show_charts(out: Console, found: Stats, unit: str) -> None:
    columns = min(CHART_COLUMNS, max(10, out.width - _LABEL_COLUMNS - 20))
    for label, kind, names in _CHARTS:
        values = series(found, kind, names)
        if any(values) or label == "events":
            _line(out, label, f"{sparkline(values, columns)}  max {max(values):,} a {unit}")
    out.print()


def _show_totals(out: Console, found: Stats) -> None:
    seconds = max(1.0, found.until - found.since)
    for label, kind in (("family", "family"), ("outcome", "outcome"), ("callbacks", "request"), ("verdict", "verdict")):
        names = found.totals.get(kind, {})
        said = ", ".join(f"{name} {count:,}" for name, count in sorted(names.items(), key=lambda item: -item[1]))
        if kind == "outcome" and names:
            said += " (of runs: an event that is retried or replayed has several)"
        if kind == "family" and names:
            said += f" (together {sum(names.values()):,}, {sum(names.values()) / seconds:.2g} a second)"
        if said:
            _line(out, label, said)
    if found.lag:
        lags = ", ".join(f"p{round(share * 100)} {_bound(found.lag, share)}" for share in SHARES)
        _line(out, "lag", f"from Nexmo's time to arrival: {lags}")


def _line(out: Console, label: str, said: str) -> None:
    out.print(f"{label:<{_LABEL_COLUMNS}}{said}", soft_wrap=True)


def _lane_row(lane: str, depth: LaneDepth) -> tuple[Any, ...]:
    oldest = duration(depth.oldest_seconds) if depth.waiting else None
    remark = "paused" if depth.is_paused else "no worker serves it" if depth.is_unserved else " "
    return lane, oldest, f"{depth.waiting:,}", f"{depth.retries:,}", f"{depth.dead_letters:,}", remark


def _bound(histogram: Mapping[float, int], share: float) -> str:
    bound = quantile(histogram, share)
    if bound is None:
        return "-"
    if bound == float("inf"):
        return f"over {duration(max([one for one in histogram if one != bound], default=0.0))}"
    return f"≤ {duration(bound)}"


def _upper(bound: float) -> str:
    return "long" if bound == float("inf") else f"≤ {duration(bound)}"
