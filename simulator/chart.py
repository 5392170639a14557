"""Draw line charts as SVG: one or more panels above each other over the same axis, labelled without a legend.

For the simulator's queues over time and for the bench's rates. Also rounds axes and formats durations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final
from xml.sax.saxutils import escape

_WIDTH: Final = 760
_LEFT, _RIGHT = 76, 600
_HEAD: Final = 92
"""Pixels above the first panel."""
_PANEL: Final = 190
_GAP: Final = 56
_FOOT: Final = 58

#: Distinguishable with impaired colour vision, and in print by their brightness.
_COLOURS: Final = ("#c2500a", "#0b5cad", "#2f7d32")
_STYLE: Final = (
    "text{font:13px system-ui,-apple-system,Helvetica,Arial,sans-serif;fill:#333}.title{font-size:16px;font-weight:600;"
    "fill:#111}.name{font-weight:600}.value{font-size:12px;text-anchor:middle;paint-order:stroke;stroke:#fff;"
    "stroke-width:3px}.grid{stroke:#e3e3e3}.axis{stroke:#888}.span{fill:#f3efe6}"
)

_UNITS: Final = ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
_SHORT: Final = {"days": "d", "hours": "h", "minutes": "min", "seconds": "s"}
_MIN_OF_A_UNIT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Point:
    """A value on the axis; a measured one has the bounds between which it varied, and is drawn with them."""

    x: float
    y: float
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A named series of points."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Panel:
    """One coordinate system."""

    title: str
    """Name and unit of its values."""
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Span:
    """A shaded part of the axis."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Panels over one axis that reaches from 0 to ``width``."""

    title: str
    panels: Sequence[Panel]
    width: float
    marks: Sequence[tuple[float, str]]
    """Places on the axis, and their labels."""
    x_title: str = ""
    spans: Sequence[Span] = ()


def draw(chart: Chart) -> str:
    """Return the SVG file."""
    height = _HEAD + len(chart.panels) * (_PANEL + _GAP) - _GAP + _FOOT
    size = f'width="{_WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(chart.title)}</title><style>{_STYLE}</style>",
        f'<rect {size} fill="#fff"/>',
        _text(20, 30, chart.title, kind="title"),
    ]
    for number, panel in enumerate(chart.panels):
        frame = _Frame(_HEAD + number * (_PANEL + _GAP), chart.width, _highest(panel))
        parts += _spans(chart.spans, frame, named=number == 0)
        parts += _panel(panel, frame)
    bottom = height - _FOOT
    parts += [_text(frame.x(at), bottom + 20, label, anchor="middle") for at, label in chart.marks]
    if chart.x_title:
        parts.append(_text((_LEFT + _RIGHT) / 2, height - 14, chart.x_title, anchor="middle"))
    return "\n".join([*parts, "</svg>", ""])


def ticks(top: float) -> list[float]:
    """Return round numbers from 0 to the first that is not below ``top``, in at most six steps."""
    raw = max(top, 1e-9) / 5
    size = 10 ** floor(log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * (1 - 1e-9))
    return [step * count for count in range(ceil(top / step * (1 - 1e-9)) + 1)]


def apart(places: Sequence[float], gap: float = 18.0) -> list[float]:
    """Move labels up until no two are closer than ``gap``, in their order; the lowest stays where it is."""
    moved: dict[int, float] = {}
    last = float("inf")
    for index in sorted(range(len(places)), key=places.__getitem__, reverse=True):
        last = moved[index] = min(places[index], last - gap)
    return [moved[index] for index in range(len(places))]


def time_unit(seconds: float) -> tuple[float, str]:
    """Return size in seconds and name of the largest unit of which there are at least two, or of seconds."""
    return next(((size, name) for size, name in _UNITS if seconds >= _MIN_OF_A_UNIT * size), _UNITS[-1])


def duration(seconds: float) -> str:
    """Format a duration, such as ``3.4 min``."""
    size, name = time_unit(seconds)
    return f"{round(seconds / size, 2):.3g} {_SHORT[name]}"


class _Frame:
    """Turns values into pixels within one panel."""

    def __init__(self, top: float, width: float, highest: float) -> None:
        self.top = top
        self.marks = ticks(highest)
        self._width = width

    def x(self, value: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * value / self._width

    def y(self, value: float) -> float:
        return self.top + _PANEL - _PANEL * value / self.marks[-1]


def _highest(panel: Panel) -> float:
    points = [point for line in panel.lines for point in line.points]
    return max((point.bounds[1] if point.bounds else point.y for point in points), default=1.0) or 1.0


def _spans(spans: Sequence[Span], frame: _Frame, *, named: bool) -> Iterator[str]:
    for span in spans:
        left, right = frame.x(span.begin), min(frame.x(span.end), float(_RIGHT))
        yield f'<rect class="span" x="{left:.1f}" y="{frame.top}" width="{right - left:.1f}" height="{_PANEL}"/>'
        if named:
            yield _text((left + right) / 2, frame.top + 16, span.name, anchor="middle")


def _panel(panel: Panel, frame: _Frame) -> Iterator[str]:
    yield _text(_LEFT - 56, frame.top - 16, panel.title)
    for mark in frame.marks:
        y = frame.y(mark)
        yield f'<line class="{"grid" if mark else "axis"}" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(_LEFT - 10, y + 4, f"{mark:,.10g}", anchor="end")
    labels = apart([frame.y(line.points[-1].y) if line.points else frame.top + _PANEL for line in panel.lines])
    for line, colour, label in zip(panel.lines, _COLOURS, labels, strict=False):
        path = " ".join(f"{frame.x(point.x):.1f},{frame.y(point.y):.1f}" for point in line.points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        yield from _measured(panel, line, colour, frame)
        yield _text(_RIGHT + 10, label + 4, line.name, kind="name", colour=colour)


def _measured(panel: Panel, line: Line, colour: str, frame: _Frame) -> Iterator[str]:
    """Draw bounds, dot and value of each measured point: the value above it on the highest line, else below it."""
    for place, point in enumerate(line.points):
        if point.bounds is None:
            continue
        x, y = frame.x(point.x), frame.y(point.y)
        low, high = map(frame.y, point.bounds)
        yield f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" stroke-width="7" stroke-opacity="0.25"/>'
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}" stroke="#fff" stroke-width="1.5"/>'
        is_highest = point.y >= max(other.points[place].y for other in panel.lines)
        value = f"{point.y:,.0f}" if point.y >= 100 else f"{point.y:g}"  # noqa: PLR2004 - three digits are enough
        yield _text(x, y + (-11 if is_highest else 20), value, kind="value", colour=colour)


def _text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "", colour: str = "") -> str:
    style = (f' class="{kind}"' if kind else "") + (f' style="fill:{colour}"' if colour else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(words)}</text>'
