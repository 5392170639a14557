"""Measure how the rates of ingest and engine change with processes, waiting events and the size of bodies.

A turn is the same everywhere: ingest queues some callbacks, then an engine handles as many events. The charts are drawn
from the rows.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import redis

from ackfirst.shared.queue import keys
from ackfirst.simulator.chart import Chart, Line, Panel, Point
from bench import ingest, servers
from bench.engine import processed
from bench.filling import fits, top_up
from bench.load import BODY_SIZE, LANE
from bench.plan import Plan, say
from bench.rows import Row, ratio, row
from bench.servers import thread_options, wait_until

PROCESSES: Final = (1, 2, 4)
WAITING: Final = (1_000, 100_000, 1_000_000)
SIZES: Final = (700, 7_000, 70_000)

#: Key to which a lane's events are moved until all engines have started.
_MOVED_AWAY: Final = "bench:moved-away"


#: Most rounds of what has no limit, so that a run ends in time.
_MAX_ROUNDS: Final = 3

#: What a turn measures -> what it counts.
_KINDS: Final = {"ingest": "callbacks/s", "engine": "events/s"}

#: Section -> title of its chart, and what each of its points is called.
_CHARTS: Final[dict[str, tuple[str, dict[int, str]]]] = {
    "processes": ("More processes", {1: "1 process", **{number: f"{number} processes" for number in PROCESSES[1:]}}),
    "waiting": ("More waiting events", {depth: f"{depth:,} waiting" for depth in WAITING}),
    "bodies": ("Larger bodies", {size: f"{size / 1000:g} KB" for size in SIZES}),
}


@dataclass(frozen=True, slots=True)
class Rates:
    """Results at one point, one value a turn."""

    ingest: list[float] = field(default_factory=list)
    """Callbacks a second."""
    engine: list[float] = field(default_factory=list)
    """Events a second."""
    busy: list[float] = field(default_factory=list)
    """Share of a core that the load generator used."""


def processes(plan: Plan) -> list[Row]:
    """Measure ingest and engines with 1, 2 and 4 processes."""
    found = {processes: Rates() for processes in PROCESSES}
    for number in range(min(plan.rounds, _MAX_ROUNDS)):
        for processes, rates in found.items():
            with servers.redis() as url:
                _turn(url, rates, count=plan.count, processes=processes)
            _report(f"processes, round {number + 1}: {processes}", rates)
    return process_rows(found)


def bodies(plan: Plan) -> list[Row]:
    """Measure bodies of 0.7, 7 and 70 KB; of large ones there are fewer."""
    found = {size: Rates() for size in SIZES}
    for number in range(min(plan.rounds, _MAX_ROUNDS)):
        for size, rates in found.items():
            with servers.redis() as url:
                _turn(url, rates, count=max(500, plan.count // max(1, size // 7_000)), size=size)
            _report(f"bodies, round {number + 1}: {size:,} bytes", rates)
    return body_rows(found)


def waiting(plan: Plan) -> list[Row]:
    """Measure two servers in turns: one with the fewest waiting events, one with more, for each depth that fits.

    Each turn adds as many events as it handles, so that a server is filled once and not in every round.
    """
    found = []
    with servers.redis() as short, servers.redis() as deep:
        for depth in _depths(deep):
            pair = (depth, Rates(), Rates())
            for number in range(plan.rounds):
                for url, waiting, rates in ((short, WAITING[0], pair[1]), (deep, depth, pair[2])):
                    top_up(url, waiting)
                    _turn(url, rates, count=plan.count)
                    _report(f"waiting, round {number + 1}: {waiting:,}", rates)
            found.append(pair)
    return waiting_rows(found)


def _depths(url: str) -> Iterator[int]:
    with redis.Redis.from_url(url) as client:
        for depth in WAITING[1:]:
            if fits(client, depth):
                yield depth
            else:
                say(f"waiting: left out, {depth:,} events need more memory than half of Redis's")


def _turn(url: str, rates: Rates, *, count: int, processes: int = 1, size: int = BODY_SIZE) -> None:
    with redis.Redis.from_url(url) as client:
        before = client.llen(keys.queue(LANE))
        run = ingest.measure(partial(servers.ingest, url, processes=processes), count, size=size)
        came = client.llen(keys.queue(LANE)) - before
        if came != count + ingest.WARM_UP:  # events in the spool would be another measurement
            raise SystemExit(f"ingest acknowledged {count + ingest.WARM_UP} callbacks and queued {came}")
        rates.ingest.append(run.rate)
        rates.busy.append(run.busy)
        rates.engine.append(_engine_rate(client, url, count=count, processes=processes))


def _engine_rate(client: redis.Redis, url: str, *, count: int, processes: int) -> float:
    """Return events per second, from the first to the last. The lane is empty until all engines have started."""
    queue, engines = keys.queue(LANE), client.scard(keys.RQ_WORKERS) + processes
    client.rename(queue, _MOVED_AWAY)
    options = ("--lane", LANE, "--processes", str(processes), *thread_options())
    with servers.workers(url, *options, handlers="bench.handlers.nothing"):
        wait_until(lambda: client.scard(keys.RQ_WORKERS) >= engines, "every engine has started")
        before = processed(client)
        client.rename(_MOVED_AWAY, queue)
        wait_until(lambda: processed(client) > before, "an event is done", pause=0.001)
        first, began = processed(client), time.perf_counter()
        wait_until(lambda: processed(client) >= before + count, f"{count} events are done", timeout=120, pause=0.005)
        return (processed(client) - first) / (time.perf_counter() - began)


def _report(turn: str, rates: Rates) -> None:
    say(f"{turn}: ingest {rates.ingest[-1]:,.0f}/s, engine {rates.engine[-1]:,.0f}/s")


def process_rows(found: Mapping[int, Rates]) -> list[Row]:
    """Return the rates with each number of processes, and their ratios to one process."""
    rows = _rates("processes", found)
    for number in PROCESSES[1:]:
        rows += _ratios(f"{number} processes / 1", found[number], found[1])
    return [*rows, _generator(found.values())]


def waiting_rows(found: Sequence[tuple[int, Rates, Rates]]) -> list[Row]:
    """Return the rates at each depth, and their ratios to the fewest waiting, turn by turn."""
    fewest = Rates()
    for _, short, _ in found:
        fewest.ingest.extend(short.ingest)
        fewest.engine.extend(short.engine)
    rows = _rates("waiting", {WAITING[0]: fewest, **{depth: deep for depth, _, deep in found}}) if found else []
    for depth, short, deep in found:
        limit = 0.85 if depth == WAITING[-1] else None
        rows += _ratios(f"{depth:,} waiting / {WAITING[0]:,}", deep, short, at_least=limit)
    return rows


def body_rows(found: Mapping[int, Rates]) -> list[Row]:
    """Return the rates with each size of a body."""
    return [*_rates("bodies", found), _generator(found.values())]


def chart(section: str, rows: Sequence[Row]) -> Chart | None:
    """Return the chart of a section, from its rows; None if it has none, or if nothing was measured."""
    if section not in _CHARTS or not rows:
        return None
    title, labels = _CHARTS[section]
    known = {str(one["what"]): one for one in rows}
    names = [label for label in labels.values() if _what("ingest", label) in known]
    lines = [
        Line(kind, [_point(place, known[_what(kind, name)]) for place, name in enumerate(names)]) for kind in _KINDS
    ]
    unit = "callbacks or events a second; dot: median, bar: from the least to the most"
    marks = [(place + 0.5, name) for place, name in enumerate(names)]
    return Chart(title, [Panel(unit, lines)], width=len(names), marks=marks)


def _rates(section: str, found: Mapping[int, Rates]) -> list[Row]:
    labels = _CHARTS[section][1]
    rows = [row(_what("ingest", labels[point]), rates.ingest) for point, rates in found.items()]
    return rows + [row(_what("engine", labels[point]), rates.engine) for point, rates in found.items()]


def _ratios(what: str, ours: Rates, theirs: Rates, *, at_least: float | None = None) -> list[Row]:
    return [
        ratio(f"ingest, {what}", ours.ingest, theirs.ingest, at_least=at_least),
        ratio(f"engine, {what}", ours.engine, theirs.engine, at_least=at_least),
    ]


def _generator(found: Iterable[Rates]) -> Row:
    return row("load generator, share of a core", [share for rates in found for share in rates.busy], at_most=0.9)


def _what(kind: str, label: str) -> str:
    return f"{kind}, {label}, {_KINDS[kind]}"


def _point(place: int, found: Row) -> Point:
    return Point(place + 0.5, float(found["median"]), (float(found["min"]), float(found["max"])))
