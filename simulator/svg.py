"""What every chart of ours is drawn with: round numbers for an axis, and text."""

from math import ceil, floor, log10
from xml.sax.saxutils import escape


def ticks(top: float) -> list[float]:
    """Round numbers from 0 to the first that is not below ``top``, at most six steps."""
    raw = max(top, 1e-9) / 5
    size = 10 ** floor(log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * (1 - 1e-9))
    return [step * count for count in range(ceil(top / step * (1 - 1e-9)) + 1)]


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "", colour: str = "") -> str:
    """Words at a place in pixels; ``kind`` is a class of the style sheet."""
    style = (f' class="{kind}"' if kind else "") + (f' style="fill:{colour}"' if colour else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(words)}</text>'
