"""Brings jobs into an engine's line: when the line is empty, and ahead of time where many wait."""

from collections.abc import Callable

from ackfirst.workers.engine.holding import Holding
from ackfirst.workers.engine.lanes import Lanes, Taking
from ackfirst.workers.engine.pace import Pace


class Supply:
    """``meet`` looks for lanes and says whether they have changed; ``most`` is the most jobs of one batch."""

    def __init__(self, lanes: Lanes, holding: Holding, pace: Pace, *, most: int, meet: Callable[[], bool]) -> None:
        self._lanes = lanes
        self._holding = holding
        self._pace = pace
        self._most = most
        self._meet = meet
        self._is_lonely = False
        self._is_flooded = False

    def has_come(self) -> bool:
        """Whether jobs stand in the line, with those that were fetched while the last batch ran."""
        taking = self._holding.catch_up()
        if taking is not None:
            self._accept(taking)
        return self._holding.has_next

    def fetch(self, *, rung: bool) -> None:
        """Take what there is. The bell may have ``rung`` for a lane that nobody knows here."""
        if self._is_lonely and self._holding:
            return
        taking = self._take()
        if not taking.jobs and rung and self._meet():
            taking = self._take()
        self._holding.add(taking.jobs)
        self._accept(taking)

    def go_ahead(self) -> None:
        """Where more waits, let Redis settle and take while handlers run; isolated ones take their jobs one by one."""
        if self._is_flooded and self._most > 1 and self._lanes.names:  # there are none any more where Redis was wiped
            self._holding.go_ahead(self._pace, most=self._most)

    def _take(self) -> Taking:
        return self._lanes.take(self._pace, have=len(self._holding), most=self._most)

    def _accept(self, taking: Taking) -> None:
        if taking.lanes_have_changed:  # a full lane is no reason not to look for others
            self._meet()
        self._is_lonely = taking.is_lonely
        self._is_flooded = taking.is_full and not taking.is_lonely
