"""Make the rows of a table: median and bounds of what was measured, and whether the limit holds."""

import statistics
from collections.abc import Sequence

Row = dict[str, str | float]


def row(what: str, values: Sequence[float], *, at_least: float | None = None, at_most: float | None = None) -> Row:
    """Return a row. Its limit holds if the median keeps it."""
    median = statistics.median(values)
    found: Row = {
        "what": what,
        "median": short(median),
        "min": short(min(values)),
        "max": short(max(values)),
        "rounds": len(values),
    }
    if at_least is not None:
        return found | {"limit": f"≥ {number(at_least)}", "holds": "yes" if median >= at_least else "no"}
    if at_most is not None:
        return found | {"limit": f"≤ {number(at_most)}", "holds": "yes" if median <= at_most else "no"}
    return found | {"limit": "", "holds": ""}


def ratio(
    what: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """Return a row of ratios, each of two values of the same round."""
    return row(what, [a / b for a, b in zip(ours, theirs, strict=True)], at_least=at_least, at_most=at_most)


def at(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the sorted ``values`` lie."""
    return values[min(len(values) - 1, int(share * len(values)))]


def short(value: float) -> float:
    """Round to three significant digits."""
    return float(f"{value:.3g}")


def number(value: float) -> str:
    """Format a number for reading: 6,860 or 0.25."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"
