"""Record the attempts to deliver one callback, and judge whether its answers are right. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ackfirst.shared.policy import Policy, Verdict, ruling
from ackfirst.simulator.planned import Planned
from ackfirst.simulator.rules import OK

if TYPE_CHECKING:
    from ackfirst.simulator.provider import Life


def _statuses(*verdicts: Verdict) -> frozenset[int]:
    """Return the answers to those verdicts under either policy: the simulator does not know which one is in force."""
    return frozenset(ruling(verdict, policy).status for verdict in verdicts for policy in Policy)


FIRST_ANSWERS: Final[Mapping[Verdict, frozenset[int]]] = MappingProxyType(
    {
        Verdict.VERIFIED: _statuses(Verdict.VERIFIED),
        # A callback that belongs into the quarantine may find it full, or Redis unavailable.
        Verdict.SUSPECT: _statuses(Verdict.SUSPECT, Verdict.SHED, Verdict.UNAVAILABLE),
        Verdict.UNSIGNED: _statuses(Verdict.UNSIGNED, Verdict.SHED, Verdict.UNAVAILABLE) - {OK},
        Verdict.FORGED: _statuses(Verdict.FORGED),
    }
)
"""Verdict → right answers to a first attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request and its answer."""

    signed: bool
    status: int | None
    """None: no answer."""
    seconds: float
    """From the time at which it was due to the end of the answer."""
    error: str | None = None
    """Why there was no answer."""
    at: float = 0.0
    """When the answer was complete, by ``time.perf_counter``."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One planned callback and its attempts so far."""

    planned: Planned
    attempts: list[Attempt] = field(default_factory=list)
    life: "Life[Delivery] | None" = field(default=None, repr=False)
    """Its state in the model of Nexmo; None before its creation."""

    @property
    def acknowledged(self) -> bool:
        """True once the receiver has answered 200 to a genuine callback: from then on it must not lose it."""
        return not self.planned.kind.is_forged and any(self._acknowledges(attempt) for attempt in self.attempts)

    @property
    def quarantined(self) -> bool:
        """True if the receiver has answered 200 to a callback that it cannot have verified."""
        return any(attempt.status == OK for attempt in self.attempts) and not self.acknowledged

    @property
    def problem(self) -> str | None:
        """Why the answers are wrong for this kind of callback; None if they are right."""
        if not self.attempts:
            return None
        first, last = self.attempts[0], self.attempts[-1]
        # An unsigned callback whose first attempt got no answer is retried with a signature: only the last one counts.
        retried_signed = self.planned.verdict is Verdict.UNSIGNED and first.status is None and last is not first
        if self.planned.verdict is Verdict.VERIFIED or retried_signed:
            return None if last.status == OK else _problem(last, {OK})
        right = FIRST_ANSWERS[self.planned.verdict]
        if first.status not in right:
            return _problem(first, right)
        return None if last is first or last.status == OK else _problem(last, {OK})

    def _acknowledges(self, attempt: Attempt) -> bool:
        return attempt.status == OK and (attempt.signed or self.planned.verdict is Verdict.VERIFIED)


def _problem(attempt: Attempt, right: Collection[int]) -> str:
    expected = " or ".join(str(status) for status in sorted(right))
    return f"{attempt.error or f'answered {attempt.status}'}, not {expected}"
