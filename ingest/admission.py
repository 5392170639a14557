"""Bound the requests of one turn of the event loop; when more wait, choose those whose answer still helps.

Without a bound, a turn takes all that has arrived: during a flood that is a second's work, answers come after the edge
has given up, and each retry makes the next turn longer. ``bench/models/overload.py`` compares orders and bounds;
``python -m bench --only flood`` measures this one.
"""

import asyncio
from collections import deque
from typing import Final, Protocol

#: Requests that a turn takes: some 10 ms of work. A turn also lets the loop read, and so notice which sender has left.
TURN_LIMIT: Final = 24

#: At least one of so many is of a connection whose last request was refused: an edge mixes all senders on its
#: connections, and a sender that was told to come again (503) may do so on the same one.
REFUSED_EVERY: Final = 4


class Sender(Protocol):
    """One connection, as far as it matters who goes first."""

    was_refused: bool
    """Whether its last answer was not 200."""

    @property
    def has_left(self) -> bool:
        """Return whether it has closed its side."""


class Admission:
    """Lets requests pass, ``limit`` in each turn of the event loop.

    Those that have to wait go newest first: the newest is the one whose sender is most likely to wait still. What a
    sender has given up meanwhile is not worked on: it comes again.
    """

    def __init__(self, limit: int = TURN_LIMIT) -> None:
        self._limit = limit
        self._room = limit
        self._is_scheduled = False
        self._welcome: deque[tuple[asyncio.Future[bool], Sender]] = deque()
        self._refused: deque[tuple[asyncio.Future[bool], Sender]] = deque()

    async def enter(self, sender: Sender) -> bool:
        """Return when it is this request's turn: True to answer it, False when its sender has left meanwhile.

        A request that does not have to wait is answered in any case: some senders close their side behind it.
        """
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._next_turn)
        if self._room and not self._welcome and not self._refused:
            self._room -= 1
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        (self._refused if sender.was_refused else self._welcome).append((turn, sender))
        return await turn

    def _next_turn(self) -> None:
        self._room, self._is_scheduled = self._limit, False
        while self._room and (self._welcome or self._refused):
            is_for_refused = self._refused and (not self._welcome or not self._room % REFUSED_EVERY)
            turn, sender = (self._refused if is_for_refused else self._welcome).pop()
            if not turn.done():
                self._room -= 1
                turn.set_result(not sender.has_left)
        if self._room < self._limit:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._next_turn)
