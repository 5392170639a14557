"""Nexmo's delivery rules, product by product: what an answer means, and when the next attempt follows.

Seconds throughout. Nexmo's documentation contradicts itself; ``docs/simulator.md`` lists the sources, and each constant
names the reading that it follows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.planned import Kind, Planned

#: Vonage help article 226572227: time to connect, and from there to the answer.
CONNECT_TIMEOUT_SECONDS: Final = 3.0
ANSWER_TIMEOUT_SECONDS: Final = 15.0

#: Real time below which ``speed`` does not shorten a timeout: a receiver that is merely busy needs that long.
MIN_TIMEOUT_SECONDS: Final = 1.0

#: Waits of a run that should end soon; Nexmo's own begin at 5 s and double for 24 hours.
RETRY_DELAYS_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)

HOUR: Final = 3600.0

OK: Final = 200
_TOO_MANY: Final = 429


class Meaning(StrEnum):
    """The meaning of an answer to Nexmo."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    DROP = "drop"
    """No further attempt."""


class ProviderPolicy(StrEnum):
    """Which callbacks wait behind one that is not accepted."""

    PER_MESSAGE = "per-message"
    """None: each callback is retried on its own (Vonage help article 360028543292, newer text)."""
    PER_ACCOUNT = "per-account"
    """All later callbacks of the account (the older, strictest reading)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Delivery rules of one product."""

    product: str
    delays: tuple[float, ...]
    """Seconds between an answer and the next attempt; the last one repeats."""
    horizon: float
    """Seconds after creation at which a callback expires: no attempt begins later."""
    any_success: bool
    """True if every 2xx is a success; else only 200."""
    any_failure: bool
    """True if every other answer is retried; else only 429, 5xx and no answer, and the rest is dropped."""
    retries: int | None = None
    """Most attempts after the first; None: limited by the horizon only."""

    def delay(self, attempts: int) -> float:
        """Return the seconds to wait after that many attempts."""
        return self.delays[min(attempts, len(self.delays)) - 1]

    def allows_another(self, attempts: int) -> bool:
        """Return whether another attempt may follow that many."""
        return self.retries is None or attempts <= self.retries

    def meaning(self, status: int | None) -> Meaning:
        """Return what the status means; None is no answer: refused, reset, timed out, or not HTTP."""
        if status is None:
            return Meaning.RETRY
        if status == OK or (self.any_success and status // 100 == 2):  # noqa: PLR2004 - 2xx
            return Meaning.ACCEPTED
        if self.any_failure or status == _TOO_MANY or status // 100 == 5:  # noqa: PLR2004 - 5xx
            return Meaning.RETRY
        return Meaning.DROP

    def shortened(self, delays: tuple[float, ...]) -> "Rules":
        """Return the same rules with only these waits, so that a run ends soon."""
        return replace(self, delays=delays, retries=len(delays))


#: Vonage help article 360028543292: 429 and 5xx are retried, first after 5 s, doubling up to 15 minutes, for 24 hours.
MESSAGES: Final = Rules(
    product="Messages",
    delays=(5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 900.0),
    horizon=24 * HOUR,
    any_success=False,
    any_failure=False,
)
#: Article 226572227: every minute for 24 hours. SMS API reference: every answer but 2xx is retried.
SMS_INBOUND: Final = Rules(
    product="SMS, inbound", delays=(60.0,), horizon=24 * HOUR, any_success=True, any_failure=True
)
#: The same article: delivery receipts for 72 hours.
SMS_RECEIPTS: Final = replace(SMS_INBOUND, product="SMS, receipts", horizon=72 * HOUR)

#: A forger sends a callback once and does not retry it.
FORGER: Final = Rules(
    product="forger", delays=(0.0,), horizon=24 * HOUR, any_success=True, any_failure=False, retries=0
)

RULES_BY_FAMILY: Final[Mapping[Family, Rules]] = MappingProxyType(
    {
        Family.INBOUND_MESSAGE: MESSAGES,
        Family.MESSAGE_STATUS: MESSAGES,
        Family.INBOUND_SMS: SMS_INBOUND,
        Family.DELIVERY_RECEIPT: SMS_RECEIPTS,
        Family.OTHER: MESSAGES,
    }
)
"""Family → rules of the product that it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The rate of callbacks in a run, and the retries of failures."""

    rate: float = 200.0
    """Callbacks per second; 0: as fast as the receiver answers."""
    burst: int = 1
    """Callbacks that are created at the same moment; the rate holds on average."""
    concurrency: int = 100
    """Most requests in flight."""
    retry_delays: tuple[float, ...] | None = RETRY_DELAYS_SECONDS
    """Seconds before each retry, for every product; None: each product's own schedule and horizon."""
    sign_unsigned: bool = True
    """Whether an unsigned callback that was answered 503 is sent again with a signature."""
    speed: float = 1.0
    """Seconds of Nexmo's time that pass in a second."""
    policy: ProviderPolicy = ProviderPolicy.PER_MESSAGE
    keep_token: bool = False
    """Whether a retry repeats the signature of the attempt before; else each attempt is signed afresh."""
    skew: float = 0.0
    """Seconds by which Nexmo's clock is ahead of ours when it signs."""

    def moments(self, count: int) -> Iterator[float] | None:
        """Return the seconds from the start at which each of ``count`` callbacks is created; None: without a rate."""
        if not self.rate:
            return None
        return (number // self.burst * self.burst / self.rate for number in range(count))

    def rules(self, planned: Planned) -> Rules:
        """Return the rules for that callback."""
        if planned.kind.is_forged or (planned.kind is Kind.UNSIGNED and not self.sign_unsigned):
            return FORGER
        return _rules(planned.content.family, self.retry_delays)

    @property
    def connect_timeout(self) -> float:
        """Seconds of real time."""
        return max(CONNECT_TIMEOUT_SECONDS / self.speed, MIN_TIMEOUT_SECONDS)

    @property
    def answer_timeout(self) -> float:
        """Seconds of real time."""
        return max(ANSWER_TIMEOUT_SECONDS / self.speed, MIN_TIMEOUT_SECONDS)


@lru_cache(maxsize=64)
def _rules(family: Family, delays: tuple[float, ...] | None) -> Rules:
    return RULES_BY_FAMILY[family] if delays is None else RULES_BY_FAMILY[family].shortened(delays)
