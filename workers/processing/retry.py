"""When a failed handler is called again."""

import math
from collections.abc import Callable, Sequence
from typing import Final

#: Share by which a wait is made longer or shorter, so that what failed together is not retried together.
JITTER: Final = 0.2


class Schedule:
    """Waits before the retries of a handler, in seconds; the last one repeats for handlers with more retries.

    ``random`` returns numbers from 0 to 1.
    """

    def __init__(self, waits: Sequence[float], *, random: Callable[[], float]) -> None:
        self._waits = tuple(waits)
        self._random = random

    def __len__(self) -> int:
        return len(self._waits)

    def wait(self, attempts: int) -> float:
        """Seconds between the ``attempts``-th attempt, which failed, and the next one."""
        base = self._waits[min(attempts, len(self._waits)) - 1] if self._waits else 0.0
        return base * (1 + JITTER * (2 * self._random() - 1))


def whole_seconds(wait: float) -> int:
    """RQ schedules in whole seconds: never earlier than asked, and a wait never becomes none."""
    return max(0, math.ceil(wait))
