"""Simulate a hundred times today's load on several stacks, each with a Redis of its own, and one account that is hot.

Accounts have sizes as companies do (Zipf), one of them sends a fifth of all. Each belongs to one stack, or the hot one
to several by its applications, which have webhook URLs of their own. Every stack serves so many events a second; what
comes above that waits in its queue. The load follows a day, with a burst of the hot account.
"""

import bisect
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Final

#: Callbacks a second of today, at noon, and how many times as many.
TODAY: Final = 300.0
TIMES: Final = 100

#: Events a second that one stack carries (docs/performance.md, "What one event costs Redis", at 60 % of a core).
CAPACITY: Final = 3_300.0

ACCOUNTS: Final = 2_000
HOT_SHARE: Final = 0.20
_ZIPF: Final = 0.9

#: Seconds of a step; a day.
STEP_SECONDS: Final = 10
DAY_SECONDS: Final = 86_400

#: A campaign of the hot account: three times its load for 20 minutes.
_BURST: Final = (14 * 3600, 14 * 3600 + 1200)
_BURST_TIMES: Final = 3.0

#: Shares of the hot account's applications.
_APPLICATIONS: Final = (0.3, 0.2, 0.15, 0.15, 0.1, 0.1)


@dataclass(frozen=True, slots=True)
class Unit:
    """A part that one stack has as a whole: an account, or an application of the hot one."""

    rate: float
    """Callbacks a second at the busiest hour."""
    is_hot: bool


Placement = Callable[[Sequence[Unit], int], list[int]]
"""Units, number of stacks → the stack of each unit."""


def by_hash(units: Sequence[Unit], stacks: int) -> list[int]:
    """Place units by a hash of their number: what an edge does that knows nothing of their size."""
    return [int.from_bytes(sha256(f"{n}".encode()).digest()[:8]) % stacks for n in range(len(units))]


def by_size(units: Sequence[Unit], stacks: int) -> list[int]:
    """Place the largest first, each where least is: a map that is written from last week's counts."""
    load, placed = [0.0] * stacks, [0] * len(units)
    for number in sorted(range(len(units)), key=lambda n: units[n].rate, reverse=True):
        placed[number] = min(range(stacks), key=load.__getitem__)
        load[placed[number]] += units[number].rate
    return placed


def hot_apart(units: Sequence[Unit], stacks: int) -> list[int]:
    """Reserve a third of the stacks for the hot account, and place by size in both parts."""
    reserved = max(1, round(stacks / 3))
    hot = iter(by_size([unit for unit in units if unit.is_hot], reserved))
    others = iter(by_size([unit for unit in units if not unit.is_hot], stacks - reserved))
    return [next(hot) if unit.is_hot else reserved + next(others) for unit in units]


#: Name → how, and whether the hot account is split by application.
PLACEMENTS: Final[dict[str, tuple[Placement, bool]]] = {
    "accounts, by hash": (by_hash, False),
    "accounts, by size": (by_size, False),
    "the hot one by application, all by size": (by_size, True),
    "the hot one by application, on stacks of its own": (hot_apart, True),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A day."""

    placement: str
    stacks: int
    busiest: float
    """Share of its capacity that the busiest stack needs at the busiest hour, burst aside."""
    longest_wait: float
    """Seconds that an event waits at most."""
    others_wait: float
    """The same on stacks that have nothing of the hot account; 0 when there is none."""
    delayed: float
    """Share of all events that wait for more than a second."""


def simulate(placement: str, stacks: int, *, seed: int, times: float = TIMES) -> Outcome:
    """Play a day."""
    dice = Random(seed)
    place, is_split = PLACEMENTS[placement]
    units = _units(dice, TODAY * times, is_split=is_split)
    base, hot = [0.0] * stacks, [0.0] * stacks
    for unit, stack in zip(units, place(units, stacks), strict=True):
        base[stack] += unit.rate
        hot[stack] += unit.rate if unit.is_hot else 0.0
    backlog, waits = [0.0] * stacks, [0.0] * stacks
    arrived = delayed = 0.0
    for second in range(0, DAY_SECONDS, STEP_SECONDS):
        shape = _of_day(second)
        more = _BURST_TIMES - 1 if _BURST[0] <= second < _BURST[1] else 0.0
        for stack in range(stacks):
            rate = (base[stack] + hot[stack] * more) * shape
            coming = dice.gauss(rate, math.sqrt(rate / STEP_SECONDS)) * STEP_SECONDS
            backlog[stack] = max(0.0, backlog[stack] + coming - CAPACITY * STEP_SECONDS)
            wait = backlog[stack] / CAPACITY
            waits[stack] = max(waits[stack], wait)
            arrived += coming
            delayed += coming if wait > 1 else 0.0
    others = [wait for wait, share in zip(waits, hot, strict=True) if not share]
    return Outcome(placement, stacks, max(base) / CAPACITY, max(waits), max(others, default=0.0), delayed / arrived)


def _units(dice: Random, total: float, *, is_split: bool) -> list[Unit]:
    sizes = [1 / (rank + 1) ** _ZIPF for rank in range(ACCOUNTS - 1)]
    dice.shuffle(sizes)
    scale = total * (1 - HOT_SHARE) / sum(sizes)
    parts = _APPLICATIONS if is_split else (1.0,)
    hot = [Unit(total * HOT_SHARE * part, is_hot=True) for part in parts]
    return [*hot, *(Unit(size * scale, is_hot=False) for size in sizes)]


#: Hour → share of the busiest hour's load.
_HOURS: Final = ((0, 0.15), (6, 0.25), (9, 0.9), (12, 1.0), (17, 0.95), (20, 0.6), (24, 0.15))


def _of_day(second: int) -> float:
    hour = second / 3600
    at = bisect.bisect_right([h for h, _ in _HOURS], hour)
    (h0, s0), (h1, s1) = _HOURS[at - 1], _HOURS[min(at, len(_HOURS) - 1)]
    return s0 if h0 == h1 else s0 + (s1 - s0) * (hour - h0) / (h1 - h0)


def table(seed: int, stacks: Sequence[int] = (10, 12, 16, 20)) -> Iterator[Outcome]:
    """Play a day for every placement and number of stacks."""
    for placement, count in itertools.product(PLACEMENTS, stacks):
        yield simulate(placement, count, seed=seed)
