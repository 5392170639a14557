"""The first page: is Nexmo stalled on us, and what needs a person?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from flask import Blueprint, g, render_template, request, url_for
from markupsafe import Markup
from redis.exceptions import RedisError

from ackfirst.ops.web import charts
from ackfirst.ops.web.filters import duration, number, sentence, size
from ackfirst.ops.web.ingest_figures import IngestFigures, quantile
from ackfirst.ops.web.live import LiveState, live
from ackfirst.ops.web.sources import Sources, sources
from ackfirst.shared.errors import QueueUnavailableError, StoreUnavailableError
from ackfirst.shared.findings import Finding, Level
from ackfirst.shared.plural import plural

blueprint = Blueprint("now", __name__)
log = structlog.get_logger(__name__)

#: Endings of events, from the bottom of the chart upwards.
SERIES: Final = (
    charts.Series("processed", "good"),
    charts.Series("unhandled", "mutedbar"),
    charts.Series("discarded", "accent"),
    charts.Series("retrying", "warn"),
    charts.Series("dead", "bad"),
)

#: Lanes that the first page lists.
_LANES: Final = 8

#: Id of a finding → the page on which something can be done about it.
_PAGES: Final[Mapping[str, str]] = {
    "dead-letters": "dead.index",
    "quarantine": "quarantine.index",
    "quarantine-full": "quarantine.index",
    "account-unconfirmed": "quarantine.index",
    "accounts-unknown": "quarantine.index",
    "lane-waits": "lanes.index",
    "lane-unserved": "lanes.index",
    "lane-paused": "lanes.index",
}

#: Ack p99 and provider lag above which a tile is coloured: the ack deadline, and what a person would call late.
_SLOW_ACK_SECONDS: Final = 0.25
_LATE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Headline:
    """The sentence on top."""

    text: str
    detail: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number."""

    label: str
    value: str
    unit: str = ""
    note: str = ""
    tone: str = ""
    url: str | None = None
    chart: str = ""


#: The sentence on top while the queue cannot be asked.
_WITHOUT_REDIS: Final = Headline(
    "Handlers wait: Redis is away",
    "Redis does not answer, or refuses. Ingest goes on answering Nexmo from its spool on disk as long as there is "
    "room: /readyz on its admin port says how much is used. This page is whole again as soon as Redis is.",
    "bad",
)
#: Seconds after which a browser may ask again.
RETRY_SECONDS: Final = 5


@blueprint.get("/")
def show() -> tuple[str, int, dict[str, str]]:
    """Show the state of the whole system; while Redis is away, what the record alone knows."""
    found = sources()
    try:
        state = live().state()
    except (RedisError, QueueUnavailableError) as error:
        log.warning("web.redis-failed", error=type(error).__name__, detail=str(error), path=request.path)
        g.redis_failed = True
        page = _page(found, headline=_WITHOUT_REDIS, findings=[], tiles=[], lanes=None)
        return page, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": str(RETRY_SECONDS)}
    busy = [lane for lane in state.lanes if lane.waiting or lane.running or lane.retries or lane.paused_at is not None]
    page = _page(
        found,
        headline=headline(state),
        findings=[_with_page(finding) for finding in state.findings],
        tiles=_tiles(state),
        lanes=sorted(busy, key=lambda lane: (-lane.waiting, -lane.oldest_seconds, lane.name))[:_LANES],
    )
    return page, HTTPStatus.OK, {}


def _page(found: Sources, **shown: Any) -> str:
    range_name, seconds, span = charts.chosen_span(request.args.get("range"))
    chart, totals, trouble = _history(found, seconds)
    return render_template(
        "web/now.html",
        chart=chart,
        totals=totals,
        series=[one for one in SERIES if totals.get(one.name) or one.name in ("processed", "dead")],
        record_trouble=trouble,
        ranges=charts.SPANS,
        range_name=range_name,
        span=span,
        **shown,
    )


def headline(state: LiveState) -> Headline:
    """Say in one sentence whether Nexmo waits for us."""
    ingest = state.ingest
    if not ingest.processes:
        return Headline(
            "No ingest is running",
            "Nexmo's callbacks are not answered, and it will stall them. Start: ackfirst ingest",
            "bad",
        )
    if ingest.not_taken:
        refused = plural(ingest.not_taken, "callback")
        detail = f"{refused} of the last minute could not be made durable and will be sent again."
        return Headline("Nexmo is stalled on us", detail, "bad")
    answered = f"{plural(ingest.total, 'callback')} answered in the last minute"
    if (p99 := quantile(ingest.ack, 0.99)) is not None:
        answered += f", 99 % of them within {duration(p99)}"
    errors = sum(finding.level is Level.ERROR for finding in state.findings)
    if errors:
        return Headline(
            f"{plural(errors, 'thing')} {'needs' if errors == 1 else 'need'} you now", f"{answered}.", "bad"
        )
    if state.findings:
        look = "One thing wants" if len(state.findings) == 1 else f"{len(state.findings)} things want"
        return Headline("Nexmo is not waiting for us", f"{answered}. {look} a look.", "warn")
    return Headline("Nexmo is not waiting for us", f"{answered}. Nothing needs you.", "good")


def _with_page(finding: Finding) -> dict[str, Any]:
    endpoint = _PAGES.get(finding.id)
    return {**finding.as_dict(), "url": url_for(endpoint) if endpoint else None}


def _tiles(state: LiveState) -> list[Tile]:
    return [*_ingest_tiles(state.ingest), *_queue_tiles(state)]


def _ingest_tiles(ingest: IngestFigures) -> list[Tile]:
    p50, p99 = quantile(ingest.ack, 0.5), quantile(ingest.ack, 0.99)
    lag, worst = quantile(ingest.lag, 0.5), quantile(ingest.lag, 0.99)
    spooled = int(ingest.gauges.get("spool_records", 0))
    return [
        Tile(
            label="Callbacks a second",
            value=number(round(ingest.rate, 1)),
            note="" if len(ingest.steps) > 1 else plural(ingest.processes, "process", "processes"),
            chart=charts.sparkline(ingest.steps, label="Callbacks a second in the last minute"),
        ),
        Tile(
            label="Ack p99",
            value=duration(p99),
            note=f"half within {duration(p50)}" if p50 is not None else "no callback in the last minute",
            tone="bad" if (p99 or 0) > _SLOW_ACK_SECONDS else "",
        ),
        Tile(
            label="Provider lag",
            value=duration(lag),
            note=f"99 % within {duration(worst)}" if worst is not None else "no new event in the last minute",
            tone="warn" if (lag or 0) > _LATE_SECONDS else "",
        ),
        Tile(
            label="Spool on disk",
            value=number(spooled),
            note=f"{size(int(ingest.gauges['spool_bytes']))}, oldest {duration(ingest.gauges['spool_oldest_seconds'])}"
            if spooled
            else "empty",
            tone="warn" if spooled else "",
        ),
    ]


def _queue_tiles(state: LiveState) -> list[Tile]:
    waiting, workers, dead = state.total("waiting"), state.queue.workers, state.dead_last_hour
    tiles = [
        Tile(
            label="Waiting",
            value=number(waiting),
            note=f"oldest {duration(state.oldest_seconds)}" if waiting else "nothing waits",
            tone="warn" if state.oldest_seconds > _LATE_SECONDS else "",
            url=url_for("lanes.index"),
        ),
        Tile(
            label="Retries",
            value=number(state.total("retries")),
            note="wait for their time",
            url=url_for("lanes.index"),
        ),
        Tile(
            label="Dead, last hour",
            value=number(dead),
            note=f"{number(state.total('dead_letters'))} in all",
            tone="bad" if dead else "",
            url=url_for("dead.index"),
        ),
        Tile(
            label="Workers",
            value=number(workers),
            note=f"{number(state.total('running'))} running" if workers else "no handler runs",
            tone="" if workers else "bad",
            url=url_for("handlers.index"),
        ),
        Tile(
            label="Quarantine",
            value=number(state.queue.quarantine_records),
            note=size(state.queue.quarantine_bytes) if state.queue.quarantine_records else "empty",
            tone="warn" if state.queue.quarantine_records else "",
            url=url_for("quarantine.index"),
        ),
    ]
    if state.record is not None:
        tiles.append(
            Tile(
                label="Record",
                value=number(state.record.gap_events),
                unit="missing" if state.record.gap_events else "gaps",
                note=f"{number(state.record.backlog)} to write" if state.record.backlog else "up to date",
                tone="bad" if state.record.gap_events else "warn" if state.record_trouble else "",
            )
        )
    return tiles


def _history(found: Sources, seconds: int) -> tuple[Markup, dict[str, int], str | None]:
    """Draw the endings of the last ``seconds``; or say why they are not known."""
    until = found.clock()
    try:
        stats = found.store.stats(until - seconds, until)
    except StoreUnavailableError as error:
        return Markup(""), {}, sentence(str(error))
    steps = [charts.Bar(point.at, point.counts.get("outcome", {})) for point in stats.points]
    totals = Counter(stats.totals.get("outcome", {}))
    label = ", ".join(f"{totals[one.name]:,} {one.name}" for one in SERIES if totals[one.name]) or "nothing ended"
    drawn = charts.bars(
        _merged(steps, stats.step, seconds),
        SERIES,
        since=until - seconds,
        until=until,
        step=_step(seconds, stats.step),
        label=f"Events by ending: {label}",
    )
    return drawn, dict(totals), None


def _step(seconds: int, step: int) -> int:
    """Return the seconds of one bar: about sixty bars, each a multiple of the record's step."""
    return max(step, seconds // 60 // step * step)


def _merged(steps: Sequence[charts.Bar], step: int, seconds: int) -> list[charts.Bar]:
    wide = _step(seconds, step)
    sums: dict[float, Counter[str]] = {}
    for bar in steps:
        sums.setdefault(bar.at // wide * wide, Counter()).update({name: int(n) for name, n in bar.counts.items()})
    return [charts.Bar(at, dict(counts)) for at, counts in sorted(sums.items())]
