"""Draw a row of numbers as a line of block characters."""

from collections.abc import Sequence
from typing import Final

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[int], columns: int) -> str:
    """Draw values from 0 to their maximum in at most so many columns; several values share a column by their maximum.

    A value above 0 is always visible: one dead letter beside a thousand must not look like none.
    """
    if not values:
        return ""
    width = min(columns, len(values))
    ends = [len(values) * (index + 1) // width for index in range(width)]
    heights = [max(values[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    highest = max(heights) or 1
    steps = len(_BLOCKS) - 1
    return "".join(_BLOCKS[-(-height * steps // highest)] for height in heights)
