"""A model of Nexmo's queues: decides which callback is attempted when. Pure; the time is an argument.

Callbacks wait in lines, first in, first out, of which only the head is attempted. ``per-message`` gives each callback a
line of its own, ``per-account`` one line to each account, so that one that is not accepted holds up all behind it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

from ackfirst.simulator.rules import Meaning, ProviderPolicy, Rules

T = TypeVar("T")


class Stage(StrEnum):
    """State of a callback at Nexmo."""

    WAITING = "waiting"
    """For its first or its next attempt."""
    SENDING = "sending"
    """An attempt is in flight."""
    DELIVERED = "delivered"
    DROPPED = "dropped"
    """Its answer is not retried."""
    EXPIRED = "expired"
    """Its horizon or its last retry has passed."""


_FINAL_STAGES: Final = {Meaning.ACCEPTED: Stage.DELIVERED, Meaning.DROP: Stage.DROPPED}


@dataclass(slots=True, eq=False)
class Life(Generic[T]):
    """One callback at Nexmo, from its creation to its final stage. Seconds of Nexmo's time."""

    item: T
    """The caller's own value for this callback."""
    rules: Rules
    created: float
    due: float
    """When its next attempt may begin, if it is the head of its line by then."""
    stage: Stage = Stage.WAITING
    attempts: int = 0
    """Attempts that have begun."""
    settled: float | None = None
    """When it was delivered, dropped or expired."""

    @property
    def deadline(self) -> float:
        """No attempt begins at this time or later."""
        return self.created + self.rules.horizon

    @property
    def is_settled(self) -> bool:
        """True once it has reached a final stage."""
        return self.settled is not None


@dataclass(slots=True, eq=False)
class Line(Generic[T]):
    """A queue of callbacks, of which only the head is attempted."""

    account: str | None
    """The account whose callbacks wait here; None in the line of a single callback."""
    lives: deque[Life[T]] = field(default_factory=deque)
    """Head first. Others behind it may have expired already."""
    waiting: int = 0
    """Callbacks in it that have not settled."""
    ticket: int = 0
    """Number of its valid entry in the schedule; older entries are skipped."""

    @property
    def head(self) -> Life[T]:
        """The callback that is attempted next."""
        return self.lives[0]


class Provider(Generic[T]):
    """All lines and the schedule of attempts. Times in seconds, never decreasing from call to call."""

    def __init__(self, policy: ProviderPolicy = ProviderPolicy.PER_MESSAGE) -> None:
        self.waiting = 0
        """Callbacks that have not settled, those in flight included."""
        self._policy = policy
        self._accounts: dict[str, Line[T]] = {}
        self._line_of: dict[Life[T], Line[T]] = {}
        self._schedule: list[tuple[float, int, Line[T]]] = []
        self._tickets = 0
        self._by_horizon: dict[float, deque[Life[T]]] = {}  # in order of creation, therefore in order of deadlines

    def create(self, item: T, *, rules: Rules, account: str | None, now: float) -> Life[T]:
        """Add a callback. With ``account`` None it never waits for another one."""
        life = Life(item, rules, created=now, due=now)
        line = self._line(account)
        line.lives.append(life)
        line.waiting += 1
        self._line_of[life] = line
        self._by_horizon.setdefault(rules.horizon, deque()).append(life)
        self.waiting += 1
        if line.head is life:
            self._plan(line, now)
        return life

    def begin(self, now: float) -> Life[T] | None:
        """Return the next callback whose attempt is due, or None. The caller must report its ``answer``."""
        self.expire(now)
        while self._schedule and self._schedule[0][0] <= now:
            _, ticket, line = heappop(self._schedule)
            if ticket == line.ticket:
                life = line.head
                life.stage = Stage.SENDING
                life.attempts += 1
                return life
        return None

    def answer(self, life: Life[T], status: int | None, now: float) -> None:
        """Record the answer of an attempt; None without one."""
        meaning = life.rules.meaning(status)
        if meaning in _FINAL_STAGES:
            self._settle(life, _FINAL_STAGES[meaning], now)
        elif now >= life.deadline or not life.rules.allows_another(life.attempts):
            self._settle(life, Stage.EXPIRED, now)
        else:
            life.stage = Stage.WAITING
            life.due = now + life.rules.delay(life.attempts)
            self._plan(self._line_of[life], life.due)

    def expire(self, now: float) -> None:
        """Expire callbacks that wait beyond their horizon."""
        for lives in self._by_horizon.values():
            while lives and (lives[0].is_settled or lives[0].deadline <= now):
                life = lives.popleft()
                if life.stage is Stage.WAITING:
                    self._settle(life, Stage.EXPIRED, life.deadline)

    def next_moment(self) -> float | None:
        """Return when ``begin`` must be called next, unless an answer comes first; None: not before one."""
        while self._schedule and self._schedule[0][1] != self._schedule[0][2].ticket:
            heappop(self._schedule)
        moments = [life.deadline for life in self._oldest_by_horizon()]
        if self._schedule:
            moments.append(self._schedule[0][0])
        return min(moments, default=None)

    def oldest(self) -> Life[T] | None:
        """Return the unsettled callback that was created first; None if there is none."""
        return min(self._oldest_by_horizon(), key=lambda life: life.created, default=None)

    def lines(self) -> list[Line[T]]:
        """Return the accounts' lines that are not empty."""
        return [line for line in self._accounts.values() if line.lives]

    def _oldest_by_horizon(self) -> Iterator[Life[T]]:
        for lives in self._by_horizon.values():
            while lives and lives[0].is_settled:
                lives.popleft()
            if lives:
                yield lives[0]

    def _line(self, account: str | None) -> Line[T]:
        if account is None or self._policy is ProviderPolicy.PER_MESSAGE:
            return Line(None)
        return self._accounts.setdefault(account, Line(account))

    def _plan(self, line: Line[T], due: float) -> None:
        self._tickets += 1
        line.ticket = self._tickets
        heappush(self._schedule, (due, line.ticket, line))

    def _settle(self, life: Life[T], stage: Stage, at: float) -> None:
        life.stage, life.settled = stage, at
        self.waiting -= 1
        line = self._line_of.pop(life)
        line.waiting -= 1
        if line.head is not life:
            return
        while line.lives and line.lives[0].is_settled:
            line.lives.popleft()
        if line.lives:
            line.head.due = max(at, line.head.created)
            self._plan(line, line.head.due)
        else:
            line.ticket = 0  # a callback that expires while its attempt is planned must not be attempted
