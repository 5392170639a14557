"""What the provider does after an answer, product by product. Seconds throughout; sources in ``docs/simulator.md``.

Its documentation contradicts itself; each constant below names the reading that it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ackfirst.shared.nexmo.family import Family

#: Vonage help article 226572227: seconds to connect, and seconds from there to the answer.
CONNECT_TIMEOUT: Final = 3.0
ANSWER_TIMEOUT: Final = 15.0

HOUR: Final = 3600.0

OK: Final = 200
_TOO_MANY: Final = 429


class Meaning(StrEnum):
    """What an answer means to the provider."""

    TAKEN = "taken"
    AGAIN = "again"
    """It will come once more."""
    REFUSED = "refused"
    """It is thrown away at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How one product treats its callbacks."""

    product: str
    delays: tuple[float, ...]
    """Seconds between an answer and the next attempt; the last one repeats."""
    horizon: float
    """Seconds from its creation after which a callback is discarded: no attempt begins later."""
    any_success: bool
    """Whether every 2xx is a success; else only 200."""
    any_failure: bool
    """Whether every other answer is tried again; else only 429, 5xx and no answer at all, and the rest is dropped."""
    retries: int | None = None
    """Most attempts after the first; None: as many as the horizon allows."""

    def delay(self, attempts: int) -> float:
        """Seconds to wait after that many attempts, the last of which has just ended."""
        return self.delays[min(attempts, len(self.delays)) - 1]

    def allows_another(self, attempts: int) -> bool:
        """Whether there may be an attempt after that many."""
        return self.retries is None or attempts <= self.retries

    def meaning(self, status: int | None) -> Meaning:
        """What that status means; None is no answer: refused, reset, too late, or no HTTP."""
        if status is None:
            return Meaning.AGAIN
        if status == OK or (self.any_success and status // 100 == 2):  # noqa: PLR2004 - 2xx
            return Meaning.TAKEN
        if self.any_failure or status == _TOO_MANY or status // 100 == 5:  # noqa: PLR2004 - 5xx
            return Meaning.AGAIN
        return Meaning.REFUSED

    def shortened(self, delays: tuple[float, ...]) -> "Rules":
        """The same with those waits and then no more: for a run that should end soon."""
        return replace(self, delays=delays, retries=len(delays))


#: Vonage help article 360028543292: 429 and 5xx are retried, first after 5 s, doubling up to 15 minutes, for 24 hours.
MESSAGES: Final = Rules(
    product="Messages",
    delays=(5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 900.0),
    horizon=24 * HOUR,
    any_success=False,
    any_failure=False,
)
#: Article 226572227: every minute for 24 hours. SMS API reference: whatever is not 2xx is tried again.
SMS_INBOUND: Final = Rules(
    product="SMS, inbound", delays=(60.0,), horizon=24 * HOUR, any_success=True, any_failure=True
)
#: The same article: delivery receipts for 72 hours.
SMS_RECEIPTS: Final = replace(SMS_INBOUND, product="SMS, receipts", horizon=72 * HOUR)

#: Somebody who pretends to be the provider sends once and does not wait for an answer.
STRANGER: Final = Rules(
    product="stranger", delays=(0.0,), horizon=24 * HOUR, any_success=True, any_failure=False, retries=0
)

_BY_FAMILY: Final[Mapping[Family, Rules]] = MappingProxyType(
    {
        Family.INBOUND_MESSAGE: MESSAGES,
        Family.MESSAGE_STATUS: MESSAGES,
        Family.INBOUND_SMS: SMS_INBOUND,
        Family.DELIVERY_RECEIPT: SMS_RECEIPTS,
        Family.OTHER: MESSAGES,
    }
)


def rules_of(family: Family) -> Rules:
    """The rules of the product that a callback belongs to."""
    return _BY_FAMILY[family]
