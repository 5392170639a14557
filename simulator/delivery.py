"""What came back for one planned callback, and whether that is what its kind should get."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ackfirst.shared.policy import Policy, Verdict, ruling
from ackfirst.simulator.planned import Planned

if TYPE_CHECKING:
    from ackfirst.simulator.provider import Life

OK: Final = 200


def _statuses(*verdicts: Verdict) -> frozenset[int]:
    """Whatever those verdicts answer, under either policy: the simulator is not told which one is in force."""
    return frozenset(ruling(verdict, policy).status for verdict in verdicts for policy in Policy)


FIRST_ANSWERS: Final[Mapping[Verdict, frozenset[int]]] = MappingProxyType(
    {
        Verdict.VERIFIED: _statuses(Verdict.VERIFIED),
        # What is to be parked may find the quarantine full, or Redis away.
        Verdict.SUSPECT: _statuses(Verdict.SUSPECT, Verdict.SHED, Verdict.UNAVAILABLE),
        Verdict.UNSIGNED: _statuses(Verdict.UNSIGNED, Verdict.SHED, Verdict.UNAVAILABLE) - {OK},
        Verdict.FORGED: _statuses(Verdict.FORGED),
    }
)
"""Verdict → the statuses that are right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request and its answer."""

    signed: bool
    status: int | None
    """None: no answer."""
    seconds: float
    """From the moment at which it was due until the whole answer was there."""
    error: str | None = None
    """Why there was no answer."""
    at: float = 0.0
    """When the answer was there, by ``time.perf_counter``."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One planned callback with all its attempts so far."""

    planned: Planned
    attempts: list[Attempt] = field(default_factory=list)
    life: "Life[Delivery] | None" = field(default=None, repr=False)
    """What the provider knows of it; None before its creation."""

    @property
    def acknowledged(self) -> bool:
        """The receiver said 200 to something genuine: from here on it must not lose it."""
        return not self.planned.kind.is_forged and any(self._settles(attempt) for attempt in self.attempts)

    @property
    def parked(self) -> bool:
        """The receiver said 200 to something that it cannot have verified."""
        return any(attempt.status == OK for attempt in self.attempts) and not self.acknowledged

    @property
    def problem(self) -> str | None:
        """Why the answers are not what this kind of callback should get; None if they are."""
        if not self.attempts:
            return None
        first, last = self.attempts[0], self.attempts[-1]
        # An unsigned callback that nobody answered comes again with a signature: only its end says anything.
        unheard = self.planned.verdict is Verdict.UNSIGNED and first.status is None and last is not first
        if self.planned.verdict is Verdict.VERIFIED or unheard:
            return None if last.status == OK else _wrong(last, {OK})
        right = FIRST_ANSWERS[self.planned.verdict]
        if first.status not in right:
            return _wrong(first, right)
        return None if last is first or last.status == OK else _wrong(last, {OK})

    def _settles(self, attempt: Attempt) -> bool:
        return attempt.status == OK and (attempt.signed or self.planned.verdict is Verdict.VERIFIED)


def _wrong(attempt: Attempt, right: Sequence[int] | frozenset[int] | set[int]) -> str:
    wanted = " or ".join(str(status) for status in sorted(right))
    return f"{attempt.error or f'answered {attempt.status}'}, not {wanted}"
