"""A chart of lines as SVG: few points on an axis of names, each with its range, drawn to be read without a legend."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from ackfirst.simulator.svg import text, ticks
from bench.rows import number

_WIDTH: Final = 720
_HEIGHT: Final = 356
_SIZE: Final = f'width="{_WIDTH}" height="{_HEIGHT}"'
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 610, 80, 318

#: Told apart by people who see few colours as well, and in print by their brightness.
_COLOURS: Final = ("#0b5cad", "#c2500a", "#2f7d32")

_STYLE: Final = (
    "text{font:13px system-ui,-apple-system,Helvetica,Arial,sans-serif;fill:#333}"
    ".title{font-size:16px;font-weight:600;fill:#111}.name{font-weight:600}.value{font-size:12px;text-anchor:middle;paint-order:stroke;stroke:#fff;stroke-width:3px}"
    ".grid{stroke:#e3e3e3}.axis{stroke:#888}"
)


@dataclass(frozen=True, slots=True)
class Point:
    """One value: what was measured in the middle, and between which bounds."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn. Each line has a point for each of the ``names``."""

    title: str
    unit: str
    """What the values are, in words, above the vertical axis."""
    names: Sequence[str]
    """What the points are, along the horizontal axis, with their unit."""
    lines: Mapping[str, Sequence[Point]]


def draw(chart: Chart) -> str:
    """The whole file."""
    top = max(point.high for line in chart.lines.values() for point in line)
    marks = ticks(top)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {_SIZE} viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(chart.title)}</title><style>{_STYLE}</style>",
        f'<rect {_SIZE} fill="#fff"/>',
        text(20, 28, chart.title, kind="title"),
        text(20, 48, chart.unit),
        *_frame(chart, marks),
    ]
    spread = apart([_y(line[-1].middle, marks[-1]) for line in chart.lines.values()])
    for (name, points), colour, label in zip(chart.lines.items(), _COLOURS, spread, strict=False):
        parts += [*_line(points, colour, marks[-1]), *_values(chart, points, colour, marks[-1])]
        parts += [text(_RIGHT + 12, label + 4, name, kind="name", colour=colour)]
    return "\n".join([*parts, "</svg>", ""])


def apart(places: Sequence[float], gap: float = 18.0) -> list[float]:
    """The same places, moved so that no two are closer than ``gap``, in their order."""
    moved: dict[int, float] = {}
    last = float("-inf")
    for index in sorted(range(len(places)), key=places.__getitem__):
        last = moved[index] = max(places[index], last + gap)
    return [moved[index] for index in range(len(places))]


def _frame(chart: Chart, marks: Sequence[float]) -> Iterator[str]:
    for mark in marks:
        y = _y(mark, marks[-1])
        yield f'<line class="{"grid" if mark else "axis"}" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield text(_LEFT - 10, y + 4, number(mark), anchor="end")
    for place, name in enumerate(chart.names):
        yield text(_x(place, len(chart.names)), _BOTTOM + 22, name, anchor="middle")


def _line(points: Sequence[Point], colour: str, top: float) -> Iterator[str]:
    spots = [(_x(place, len(points)), _y(point.middle, top)) for place, point in enumerate(points)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
    for (x, y), point in zip(spots, points, strict=True):
        low, high = _y(point.low, top), _y(point.high, top)
        yield f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" stroke-width="7" stroke-opacity="0.25"/>'
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}" stroke="#fff" stroke-width="1.5"/>'


def _values(chart: Chart, points: Sequence[Point], colour: str, top: float) -> Iterator[str]:
    """Each value beside its point: above it on the line that is highest there, below it on the others."""
    for place, point in enumerate(points):
        is_highest = point.middle >= max(line[place].middle for line in chart.lines.values())
        y = _y(point.middle, top) + (-11 if is_highest else 20)
        yield text(_x(place, len(points)), y, number(point.middle), kind="value", colour=colour)


def _x(place: int, count: int) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (place + 0.5) / count


def _y(value: float, top: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * value / top
