"""Handlers: how often they ran, how long, how often they failed, and the last error."""

from dataclasses import dataclass

from flask import Blueprint, render_template, request

from ackfirst.ops.web import charts
from ackfirst.ops.web.filters import sentence
from ackfirst.ops.web.live import live
from ackfirst.ops.web.sources import sources
from ackfirst.shared.errors import StoreUnavailableError
from ackfirst.shared.queue.snapshot import HandlerTime
from ackfirst.shared.store import HandlerStats

blueprint = Blueprint("handlers", __name__, url_prefix="/handlers")


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerRow:
    """One handler, as the record and Redis know it."""

    name: str
    stats: HandlerStats | None
    """In the chosen span; None when it did not run, or the record is away."""
    total: HandlerTime | None
    """Since Redis began to count."""


@blueprint.get("/")
def index() -> str:
    """List the handlers, those that failed most first."""
    found = sources()
    state = live().state()
    range_name, seconds, span = charts.chosen_span(request.args.get("range"))
    trouble = None
    recorded: dict[str, HandlerStats] = {}
    try:
        until = found.clock()
        recorded = {one.handler: one for one in found.store.stats(until - seconds, until).handlers}
    except StoreUnavailableError as error:
        trouble = sentence(str(error))
    names = recorded.keys() | state.queue.handlers.keys()
    rows = [HandlerRow(name=name, stats=recorded.get(name), total=state.queue.handlers.get(name)) for name in names]
    rows.sort(
        key=lambda row: (-(row.stats.failures if row.stats else 0), -(row.stats.runs if row.stats else 0), row.name)
    )
    slowest = max((row.stats.p99 for row in rows if row.stats), default=0.0)
    return render_template(
        "web/handlers.html",
        rows=rows,
        meters={row.name: charts.meter(row.stats.p99, slowest) for row in rows if row.stats},
        seconds=seconds,
        ranges=charts.SPANS,
        range_name=range_name,
        span=span,
        trouble=trouble,
        workers=state.queue.workers,
    )
