"""The lines in which callbacks wait, and who is next. Both readings of the provider's documentation are one mechanism.

A line is first in, first out, and only its head is ever attempted. ``per-message`` gives each callback a line of its
own, ``per-account`` one line to each account: what cannot be delivered then holds up everything behind it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

from ackfirst.simulator.provider.life import Life, Stage
from ackfirst.simulator.provider.rules import Meaning, Rules

T = TypeVar("T")

_ENDS: Final = {Meaning.TAKEN: Stage.DELIVERED, Meaning.REFUSED: Stage.DROPPED}


class ProviderPolicy(StrEnum):
    """What waits behind what."""

    PER_MESSAGE = "per-message"
    """Each callback is retried on its own (Vonage help article 360028543292, newer text)."""
    PER_ACCOUNT = "per-account"
    """Callbacks of an account queue behind the one that nobody took (the older, strictest reading)."""


@dataclass(slots=True, eq=False)
class Line(Generic[T]):
    """Callbacks of which each waits for all before it."""

    account: str | None
    """Whose line it is; None: of one callback alone."""
    lives: deque[Life[T]] = field(default_factory=deque)
    """The head first. Some of the others may have expired while they waited."""
    waiting: int = 0
    """How many of them have not settled."""
    ticket: int = 0
    """Number of the only entry in the schedule that still counts."""

    @property
    def head(self) -> Life[T]:
        """Who is next."""
        return self.lives[0]


class Provider(Generic[T]):
    """Decides which callback is attempted when. Moments in seconds, which never go back."""

    def __init__(self, policy: ProviderPolicy = ProviderPolicy.PER_MESSAGE) -> None:
        self.waiting = 0
        """Callbacks that have not settled, those under way included."""
        self._policy = policy
        self._accounts: dict[str, Line[T]] = {}
        self._line_of: dict[Life[T], Line[T]] = {}
        self._schedule: list[tuple[float, int, Line[T]]] = []
        self._tickets = 0
        self._by_horizon: dict[float, deque[Life[T]]] = {}  # in the order of creation, so in that of their deadlines

    def create(self, item: T, *, rules: Rules, account: str | None, now: float) -> Life[T]:
        """Take in a callback; ``account`` None: of nobody whose callbacks could wait for each other."""
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
        """The next callback whose attempt is to begin now; None when there is none. ``answer`` must follow."""
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
        """The attempt has ended with that status; None without an answer."""
        meaning = life.rules.meaning(status)
        if meaning in _ENDS:
            self._settle(life, _ENDS[meaning], now)
        elif now >= life.deadline or not life.rules.allows_another(life.attempts):
            self._settle(life, Stage.EXPIRED, now)
        else:
            life.stage = Stage.WAITING
            life.due = now + life.rules.delay(life.attempts)
            self._plan(self._line_of[life], life.due)

    def expire(self, now: float) -> None:
        """Discard what waits beyond its horizon."""
        for lives in self._by_horizon.values():
            while lives and (lives[0].is_settled or lives[0].deadline <= now):
                life = lives.popleft()
                if life.stage is Stage.WAITING:
                    self._settle(life, Stage.EXPIRED, life.deadline)

    def next_moment(self) -> float | None:
        """When something is to be done unless an answer comes first; None: never."""
        while self._schedule and self._schedule[0][1] != self._schedule[0][2].ticket:
            heappop(self._schedule)
        moments = [life.deadline for life in self._fronts()]
        if self._schedule:
            moments.append(self._schedule[0][0])
        return min(moments, default=None)

    def oldest(self) -> Life[T] | None:
        """The callback that has waited longest; None when nothing waits."""
        return min(self._fronts(), key=lambda life: life.created, default=None)

    def lines(self) -> list[Line[T]]:
        """The accounts' lines in which anything waits."""
        return [line for line in self._accounts.values() if line.lives]

    def _fronts(self) -> Iterator[Life[T]]:
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
            line.ticket = 0  # the callback may have expired with an attempt planned
