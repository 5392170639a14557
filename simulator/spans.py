"""Stretches of time as a person says them."""

from typing import Final

_UNITS: Final = ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
_SHORT: Final = {"days": "d", "hours": "h", "minutes": "min", "seconds": "s"}

#: So many of a unit, and the next larger one is no better.
_ENOUGH: Final = 2.0


def unit_of(seconds: float) -> tuple[float, str]:
    """The largest unit of which there are at least two, or seconds: its size in seconds, and its name."""
    return next(((size, name) for size, name in _UNITS if seconds >= _ENOUGH * size), _UNITS[-1])


def span(seconds: float) -> str:
    """Such as ``3.4 min``."""
    size, name = unit_of(seconds)
    return f"{round(seconds / size, 2):.3g} {_SHORT[name]}"
