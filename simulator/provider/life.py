"""One callback in the provider's hands."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from ackfirst.simulator.provider.rules import Rules

T = TypeVar("T")


class Stage(StrEnum):
    """How far a callback has come."""

    WAITING = "waiting"
    """For its first attempt or its next one."""
    SENDING = "sending"
    """An attempt is under way."""
    DELIVERED = "delivered"
    DROPPED = "dropped"
    """An answer that is not tried again."""
    EXPIRED = "expired"
    """Its horizon or its last retry is over."""


@dataclass(slots=True, eq=False)
class Life(Generic[T]):
    """One callback, from its creation on. Moments in seconds of the provider's time."""

    item: T
    """What it is to whoever drives the provider."""
    rules: Rules
    created: float
    due: float
    """When its next attempt may begin, once everything before it in its line has settled."""
    stage: Stage = Stage.WAITING
    attempts: int = 0
    """Begun so far."""
    settled: float | None = None
    """When it was delivered, dropped or discarded."""

    @property
    def deadline(self) -> float:
        """No attempt begins at this moment or later."""
        return self.created + self.rules.horizon

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.settled is not None
