"""The picture of a run: how many callbacks wait at the provider, and how old the oldest is, over its time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from ackfirst.simulator.snapshot import Snapshot
from ackfirst.simulator.spans import unit_of
from ackfirst.simulator.svg import text, ticks

_WIDTH: Final = 760
_LEFT, _RIGHT = 76, 600
_TOPS: Final = (92, 318)
_PANEL: Final = 170
_HEIGHT: Final = 540

#: Told apart by people who see few colours as well, and in print by their brightness.
_COLOURS: Final = ("#c2500a", "#0b5cad", "#2f7d32")
_STYLE: Final = (
    "text{font:13px system-ui,-apple-system,Helvetica,Arial,sans-serif;fill:#333}.title{font-size:16px;font-weight:600;"
    "fill:#111}.name{font-weight:600}.grid{stroke:#e3e3e3}.axis{stroke:#888}.span{fill:#f3efe6}"
)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in which something was the matter; seconds of the provider's time."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class _Panel:
    top: float
    title: str
    value: Callable[[Snapshot], float]
    text: Callable[[float], str]


def draw(title: str, courses: Mapping[str, Sequence[Snapshot]], spans: Sequence[Span] = ()) -> str:
    """The whole SVG file; a line for each course."""
    last = max((moments[-1].at for moments in courses.values() if moments), default=1.0) or 1.0
    oldest = max((moment.oldest for moments in courses.values() for moment in moments), default=0.0)
    _, age_unit = unit_of(oldest)
    panels = (
        _Panel(_TOPS[0], "callbacks that wait at the provider", lambda moment: moment.waiting, lambda v: f"{v:,.0f}"),
        _Panel(_TOPS[1], f"age of the oldest, {age_unit}", lambda moment: moment.oldest / unit_of(oldest)[0], _short),
    )
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect {size} fill="#fff"/>',
        text(20, 30, title, kind="title"),
    ]
    for panel in panels:
        parts += _panel(panel, courses, spans, last)
    scale, unit = unit_of(last)
    parts += [text((_LEFT + _RIGHT) / 2, _HEIGHT - 12, f"{unit} of the provider's time", anchor="middle")]
    for mark in (mark for mark in ticks(last / scale) if mark * scale <= 1.01 * last):
        parts.append(text(_x(mark * scale, last), _TOPS[1] + _PANEL + 20, _short(mark), anchor="middle"))
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    panel: _Panel, courses: Mapping[str, Sequence[Snapshot]], spans: Sequence[Span], last: float
) -> Iterator[str]:
    top = max((panel.value(moment) for moments in courses.values() for moment in moments), default=1.0)
    marks = ticks(max(top, 1.0))
    for one in spans:
        left, right = _x(one.begin, last), _x(min(one.end, last), last)
        yield f'<rect class="span" x="{left:.1f}" y="{panel.top}" width="{right - left:.1f}" height="{_PANEL}"/>'
        if panel.top == _TOPS[0]:
            yield text((left + right) / 2, panel.top + 14, one.name, anchor="middle")
    yield text(_LEFT - 56, panel.top - 14, panel.title)
    for mark in marks:
        y = _y(mark, marks[-1], panel.top)
        yield f'<line class="{"grid" if mark else "axis"}" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield text(_LEFT - 10, y + 4, panel.text(mark), anchor="end")
    ends = [_y(panel.value(moments[-1]), marks[-1], panel.top) if moments else 0.0 for moments in courses.values()]
    labels = _apart(ends)
    for (name, moments), colour, label in zip(courses.items(), _COLOURS, labels, strict=False):
        points = " ".join(
            f"{_x(moment.at, last):.1f},{_y(panel.value(moment), marks[-1], panel.top):.1f}" for moment in moments
        )
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        yield text(_RIGHT + 10, label + 4, name, kind="name", colour=colour)


def _apart(places: Sequence[float], gap: float = 18.0) -> list[float]:
    """The same places, moved up so that no two are closer than ``gap``: the labels stay within the panel."""
    moved: dict[int, float] = {}
    last = float("inf")
    for index in sorted(range(len(places)), key=places.__getitem__, reverse=True):
        last = moved[index] = min(places[index], last - gap)
    return [moved[index] for index in range(len(places))]


def _short(value: float) -> str:
    return f"{value:,.10g}"


def _x(at: float, last: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * at / last


def _y(value: float, top: float, panel_top: float) -> float:
    return panel_top + _PANEL - _PANEL * value / top
