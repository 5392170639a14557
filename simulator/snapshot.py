"""What can be seen of the provider at one moment, and the course of a whole run in a bounded number of moments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: Moments that a course keeps at the most; then every second one goes.
MOST: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """The callback that has waited longest. Seconds of the provider's time."""

    account: str
    application: str | None
    age: float
    """Since its creation."""
    attempts: int
    answered: str
    """To its last attempt; empty before that has ended."""
    next_in: float
    """Until its next attempt; 0 while one is under way."""
    behind: int
    """Callbacks that wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One moment. Seconds of the provider's time."""

    at: float = 0.0
    """Since the start."""
    planned: int = 0
    created: int = 0
    waiting: int = 0
    """Created and not settled, those under way included."""
    in_flight: int = 0
    attempts: int = 0
    answers: Mapping[str, int] = field(default_factory=dict)
    """Status, or ``no answer`` → how many attempts."""
    blocker: Blocker | None = None
    """None when nothing waits."""

    @property
    def oldest(self) -> float:
        """Age of what has waited longest; 0 when nothing waits."""
        return self.blocker.age if self.blocker else 0.0


class Course:
    """Snapshots of a run, evenly spread over it, however long it takes."""

    def __init__(self, most: int = MOST) -> None:
        self.moments: list[Snapshot] = []
        self._most = most
        self._every = 1
        self._seen = 0

    def add(self, snapshot: Snapshot) -> None:
        """Keep it, if its turn has come."""
        if self._seen % self._every == 0:
            self.moments.append(snapshot)
        self._seen += 1
        if len(self.moments) >= self._most:
            del self.moments[1::2]
            self._every *= 2
