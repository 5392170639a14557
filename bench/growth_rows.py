"""The tables of growth, and their charts, which are drawn from the tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bench.growth import PROCESSES, SIZES, WAITING, Rates
from bench.rows import Row, ratio, row
from bench.svg import Chart, Point

#: What a turn measures -> what it counts.
_KINDS: Final = {"ingest": "callbacks/s", "engine": "events/s"}

#: Section -> title of its chart, and what each of its points is called.
_CHARTS: Final[dict[str, tuple[str, dict[int, str]]]] = {
    "processes": ("More processes", {1: "1 process", **{number: f"{number} processes" for number in PROCESSES[1:]}}),
    "waiting": ("More waiting events", {depth: f"{depth:,} waiting" for depth in WAITING}),
    "bodies": ("Larger bodies", {size: f"{size / 1000:g} KB" for size in SIZES}),
}


def processes(found: Mapping[int, Rates]) -> list[Row]:
    """Rates with each number of processes, and how many times that of one they are."""
    rows = _rates("processes", found)
    for number in PROCESSES[1:]:
        rows += _ratios(f"{number} processes / 1", found[number], found[1])
    return [*rows, _generator(found.values())]


def waiting(found: Sequence[tuple[int, Rates, Rates]]) -> list[Row]:
    """Rates at each depth, and what part of those with the fewest waiting they are, turn by turn."""
    fewest = Rates()
    for _, short, _ in found:
        fewest.ingest.extend(short.ingest)
        fewest.engine.extend(short.engine)
    rows = _rates("waiting", {WAITING[0]: fewest, **{depth: deep for depth, _, deep in found}}) if found else []
    for depth, short, deep in found:
        limit = 0.9 if depth == WAITING[-1] else None
        rows += _ratios(f"{depth:,} waiting / {WAITING[0]:,}", deep, short, at_least=limit)
    return rows


def bodies(found: Mapping[int, Rates]) -> list[Row]:
    """Rates with each size of a body."""
    return [*_rates("bodies", found), _generator(found.values())]


def chart(section: str, rows: Sequence[Row]) -> Chart | None:
    """The chart of a section, from its rows; None for one that has none, or when nothing was measured."""
    if section not in _CHARTS or not rows:
        return None
    title, labels = _CHARTS[section]
    known = {str(one["what"]): one for one in rows}
    names = [label for label in labels.values() if _what("ingest", label) in known]
    lines = {kind: [_point(known[_what(kind, name)]) for name in names] for kind in _KINDS}
    unit = "callbacks or events a second; dot: median, bar: from the least to the most"
    return Chart(title, unit, names, lines)


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


def _point(found: Row) -> Point:
    return Point(float(found["min"]), float(found["median"]), float(found["max"]))
