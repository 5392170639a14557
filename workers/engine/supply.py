"""Brings jobs into an engine's line: when the line is empty, and ahead of time where many wait."""

from ackfirst.workers.engine.holding import Holding
from ackfirst.workers.engine.lanes import Lanes, Taking
from ackfirst.workers.engine.pace import Pace


class Supply:
    """``most`` is the most jobs of one batch."""

    def __init__(self, lanes: Lanes, holding: Holding, pace: Pace, *, most: int) -> None:
        self._lanes = lanes
        self._holding = holding
        self._pace = pace
        self._most = most
        self._is_lonely = False
        self._is_flooded = False

    def has_come(self) -> bool:
        """Whether jobs stand in the line, with those that were fetched while the last batch ran."""
        taking = self._holding.catch_up()
        if taking is not None:
            self._accept(taking)
        return self._holding.has_next

    def fetch(self) -> None:
        """Take what there is."""
        if self._is_lonely and self._holding:
            return
        taking = self._lanes.take(self._pace, have=len(self._holding), most=self._most)
        self._holding.add(taking.jobs)
        self._accept(taking)

    def go_ahead(self) -> None:
        """Where more waits, let Redis settle and take while handlers run; isolated ones take their jobs one by one."""
        if self._is_flooded and self._most > 1:
            self._holding.go_ahead(self._pace, most=self._most)

    def _accept(self, taking: Taking) -> None:
        self._is_lonely = taking.is_lonely
        self._is_flooded = taking.is_full and not taking.is_lonely
