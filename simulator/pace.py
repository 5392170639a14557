"""How fast, how stubborn, and by which reading of its documentation the simulated provider is."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.planned import Kind, Planned
from ackfirst.simulator.provider import ProviderPolicy, Rules, rules_of
from ackfirst.simulator.provider.rules import ANSWER_TIMEOUT, CONNECT_TIMEOUT, STRANGER

#: Seconds between attempts. The provider's own begin at 5 and double for 24 hours; these end a test run in time.
RETRY_DELAYS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)

#: Seconds of a receiver's time below which no time-out goes, however fast the provider's time passes.
SHORTEST_TIMEOUT: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The provider's temper, for one run."""

    rate: float = 200.0
    """Callbacks per second; 0 is as fast as the receiver answers."""
    burst: int = 1
    """So many come at once, and then none until the rate is kept again."""
    concurrency: int = 100
    """Most requests in flight."""
    retry_delays: tuple[float, ...] | None = RETRY_DELAYS
    """Seconds before each further attempt, for every product; None: each product's own schedule and horizon."""
    sign_unsigned: bool = True
    """Whether an unsigned callback that was answered 503 comes again, signed."""
    speed: float = 1.0
    """Seconds of the provider's time that pass in a second."""
    policy: ProviderPolicy = ProviderPolicy.PER_MESSAGE
    """What waits behind what."""
    keep_token: bool = False
    """Whether a retry carries the signature of the attempt before; else each attempt is signed afresh."""
    skew: float = 0.0
    """Seconds by which the provider's clock is ahead of ours when it signs."""

    def moments(self, count: int) -> Iterator[float] | None:
        """Seconds from the start at which each of ``count`` callbacks is created; None: as fast as possible."""
        if not self.rate:
            return None
        return (number // self.burst * self.burst / self.rate for number in range(count))

    def rules(self, planned: Planned) -> Rules:
        """By which that callback is treated."""
        if planned.kind.is_forged or (planned.kind is Kind.UNSIGNED and not self.sign_unsigned):
            return STRANGER
        return _rules(planned.content.family, self.retry_delays)

    @property
    def connect_timeout(self) -> float:
        """Seconds of real time."""
        return max(CONNECT_TIMEOUT / self.speed, SHORTEST_TIMEOUT)

    @property
    def answer_timeout(self) -> float:
        """Seconds of real time."""
        return max(ANSWER_TIMEOUT / self.speed, SHORTEST_TIMEOUT)


@lru_cache(maxsize=64)
def _rules(family: Family, delays: tuple[float, ...] | None) -> Rules:
    rules = rules_of(family)
    return rules if delays is None else rules.shortened(delays)
