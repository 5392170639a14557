"""What came back for one planned callback, and whether that is what its kind should get."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from shared.policy import Policy, Verdict, ruling
from simulator.planned import Kind, Planned

OK: Final = 200
TOO_MANY: Final = 429
SERVER_ERRORS: Final = range(500, 600)


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

    @property
    def asks_for_another(self) -> bool:
        """Whether the provider would try again: no answer, 429 or 5xx."""
        return self.status is None or self.status == TOO_MANY or self.status in SERVER_ERRORS


@dataclass(slots=True)
class Delivery:
    """One planned callback with all its attempts so far."""

    planned: Planned
    attempts: list[Attempt] = field(default_factory=list)

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
        if self.planned.verdict is Verdict.VERIFIED:
            return None if last.status == OK else _wrong(last, {OK})
        right = FIRST_ANSWERS[self.planned.verdict]
        if first.status not in right:
            return _wrong(first, right)
        return None if last is first or last.status == OK else _wrong(last, {OK})

    def _settles(self, attempt: Attempt) -> bool:
        return attempt.status == OK and (attempt.signed or self.planned.verdict is Verdict.VERIFIED)

    def wants_retry(self, *, most: int, sign_unsigned: bool) -> bool:
        """Whether the provider would send it once more, always signed; at most ``most`` times.

        Forged callbacks come from somebody who does not wait for an answer.
        """
        if self.planned.kind.is_forged or len(self.attempts) > most:
            return False
        if self.planned.kind is Kind.UNSIGNED and not sign_unsigned:
            return False
        return self.attempts[-1].asks_for_another


def _wrong(attempt: Attempt, right: Sequence[int] | frozenset[int] | set[int]) -> str:
    wanted = " or ".join(str(status) for status in sorted(right))
    return f"{attempt.error or f'answered {attempt.status}'}, not {wanted}"
