"""The ack deadline, told by one timer for all callbacks. It counts what Redis takes, not what our event loop takes."""

import asyncio
from collections.abc import Callable
from typing import Final

#: Share of the deadline by which the timer may ring late before it is our event loop that was busy, not Redis that is
#: slow: the reply may be waiting in the socket. Then there is one more look, after the same time.
LATE: Final = 0.2

#: Seconds by which a timer may ring early: event loops count in milliseconds.
EARLY: Final = 0.002


class Watchdog:
    """Calls ``look`` when something may be overdue.

    Args:
        deadline: Seconds.
        look: Is given the time on the loop's clock before which whatever began is overdue; returns the beginning of
            what will be overdue next, None for nothing.
    """

    def __init__(self, *, deadline: float, look: Callable[[float], float | None]) -> None:
        self._deadline = deadline
        self._look = look
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, began: float) -> None:
        """Look when what began then is overdue, unless an earlier look is planned."""
        if self._timer is None:
            self._ring_at(began + self._deadline)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring_at(self, due: float, *, patient: bool = True) -> None:
        self._timer = asyncio.get_running_loop().call_at(due, self._ring, due, patient)

    def _ring(self, due: float, patient: bool) -> None:  # noqa: FBT001 - an argument of ours, through call_at
        now, late = asyncio.get_running_loop().time(), LATE * self._deadline
        self._timer = None
        if patient and now - due > late:
            self._ring_at(now + late, patient=False)
            return
        following = self._look(now - self._deadline + EARLY)
        if following is not None:
            self.watch(following)
