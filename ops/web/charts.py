"""Draw charts as inline SVG. Colours are classes of ``page.css``, because the policy allows no style attribute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

#: Name of a span → its seconds, and how ``ackfirst stats --since`` writes it.
SPANS: Final[Mapping[str, tuple[int, str]]] = {"hour": (3600, "1h"), "day": (86_400, "24h"), "week": (604_800, "7d")}

_WIDTH: Final = 960
_HEIGHT: Final = 190
_LEFT: Final = 44
_BOTTOM: Final = 22
_TOP: Final = 8


@dataclass(frozen=True, slots=True)
class Series:
    """One part of the stacked bars."""

    name: str
    tone: str
    """Class of its colour."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of time."""

    at: float
    """Unix seconds of its begin."""
    counts: Mapping[str, float]
    """Name of a series → its part."""


def chosen_span(name: str | None) -> tuple[str, int, str]:
    """Return name, seconds and option of the span that an address names; an hour without one."""
    known = name if name is not None and name in SPANS else "hour"
    return known, *SPANS[known]


def sparkline(values: Sequence[float], *, label: str, width: int = 160, height: int = 26) -> Markup:
    """Draw a line with the area under it, scaled to its own highest value."""
    if len(values) < 2:  # noqa: PLR2004 - a line has two points
        return Markup("")
    most = max(values) or 1.0
    step = width / (len(values) - 1)
    points = [
        f"{index * step:.1f},{height - 2 - value / most * (height - 4):.1f}" for index, value in enumerate(values)
    ]
    line = "M" + "L".join(points)
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '<path class="area" d="{line}V{h}H0Z"/><path class="stroke" d="{line}"/></svg>'
    ).format(w=width, h=height, label=label, line=line)


def bars(
    steps: Sequence[Bar], series: Sequence[Series], *, since: float, until: float, step: float, label: str
) -> Markup:
    """Draw stacked bars over time, with four lines of the scale and the times below.

    Args:
        steps: The steps in which something happened.
        series: From the bottom upwards.
        since: Left end, Unix seconds.
        until: Right end.
        step: Seconds of one bar.
        label: What is drawn, for a reader who cannot see it.
    """
    totals = [sum(bar.counts.get(one.name, 0) for one in series) for bar in steps]
    most = _nice(max(totals, default=0))
    plot_width, plot_height = _WIDTH - _LEFT, _HEIGHT - _BOTTOM - _TOP
    parts = [_scale(most, plot_height)]
    width = max(1.0, plot_width * step / (until - since) - 1.0)
    for bar, total in zip(steps, totals, strict=True):
        left = max(_LEFT, _LEFT + (bar.at - since) / (until - since) * plot_width)
        bottom = float(_TOP + plot_height)
        drawn = []
        for one in series:
            if count := bar.counts.get(one.name, 0):
                tall = count / most * plot_height
                bottom -= tall
                drawn.append(_rect(left, bottom, width, tall, one.tone))
        told = ", ".join(f"{bar.counts[one.name]:,.0f} {one.name}" for one in series if bar.counts.get(one.name))
        title = f"{datetime.fromtimestamp(bar.at, UTC):%d %b %H:%M} UTC: {total:,.0f} ({told})"
        parts.append(Markup("<g><title>{}</title>{}</g>").format(title, Markup("").join(drawn)))
    parts += [_axis(since, until, plot_width)]
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, _HEIGHT, label, Markup("").join(parts)
    )


def meter(value: float, most: float, *, tone: str = "accent", width: int = 120) -> Markup:
    """Draw one horizontal bar, as long as its share of ``most``."""
    share = min(1.0, value / most) if most else 0.0
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="{w}" height="6" rx="3"/>'
        '<rect class="{tone}" width="{x:.1f}" height="6" rx="3"/></svg>'
    ).format(w=width, x=max(share * width, 2.0 if value else 0.0), tone=tone)


def _rect(x: float, y: float, width: float, height: float, tone: str) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.2f}"/>').format(
        tone, x, y, width, height
    )


def _scale(most: float, plot_height: float) -> Markup:
    lines = []
    for part in (0.0, 0.5, 1.0):
        y = _TOP + plot_height * (1 - part)
        lines.append(
            Markup('<path class="grid" d="M{} {:.1f}H{}"/><text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                _LEFT, y, _WIDTH, _LEFT - 8, y + 4, _short(most * part)
            )
        )
    return Markup("").join(lines)


def _axis(since: float, until: float, plot_width: float) -> Markup:
    form = "%H:%M" if until - since <= 2 * 86400 else "%d %b"
    ticks = []
    for index in range(7):
        at = since + (until - since) * index / 6
        anchor = {0: "start", 6: "end"}.get(index, "middle")
        x = _LEFT + plot_width * index / 6
        text = datetime.fromtimestamp(at, UTC).strftime(form)
        ticks.append(Markup('<text x="{:.0f}" y="{}" text-anchor="{}">{}</text>').format(x, _HEIGHT - 5, anchor, text))
    return Markup("").join(ticks)


def _nice(most: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten, so that the middle line has a plain number."""
    size = 1.0  # even an empty chart has a scale
    while most > 10 * size:
        size *= 10
    return next(factor * size for factor in (1, 2, 3, 4, 6, 8, 10) if most <= factor * size)


def _short(value: float) -> str:
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"
