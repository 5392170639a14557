"""The story: ten callbacks a minute, a sixth of them for a test application that is broken for a while.

Minutes are those of the provider, of which one passes in a second.
"""

import secrets
from dataclasses import dataclass
from typing import Final

from yarl import URL

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.account import SigningAccount, made_up_applications
from ackfirst.simulator.content import Wanted
from ackfirst.simulator.pace import Pace
from ackfirst.simulator.provider import ProviderPolicy
from ackfirst.simulator.run import Plan
from ackfirst.simulator.traffic import Shares

SPEED: Final = 60.0
_RATE: Final = 10.0
_PRODUCTION: Final = 4

#: Parts of the story in which the test application breaks and is mended.
_BREAKS: Final = 0.2
_MENDED: Final = 0.6


@dataclass(frozen=True, slots=True)
class Story:
    """One telling."""

    minutes: float
    seed: int
    account: SigningAccount
    test: str
    """Id of the test application."""

    @property
    def breaks(self) -> float:
        """Second at which the test application breaks."""
        return self.minutes * _BREAKS

    @property
    def mended(self) -> float:
        """Second at which it works again."""
        return self.minutes * _MENDED

    def plan(self, url: str) -> Plan:
        """The same callbacks for either receiver."""
        return Plan(
            target=URL(url),
            account=self.account,
            count=round(self.minutes * _RATE),
            seed=self.seed,
            shares=Shares(duplicates=0, wrong_secret=0, unsigned=0, tampered=0),
            wanted=Wanted(families=frozenset({Family.INBOUND_MESSAGE, Family.MESSAGE_STATUS})),
            pace=Pace(rate=_RATE, retry_delays=None, speed=SPEED, policy=ProviderPolicy.PER_ACCOUNT),
        )


def story(minutes: float, seed: int) -> Story:
    """A story for an account that is made up for it."""
    api_key = secrets.token_hex(4)
    production, test = made_up_applications(api_key)
    account = SigningAccount(
        api_key=api_key, secret=secrets.token_hex(32).encode(), applications=(*(production,) * _PRODUCTION, test)
    )
    return Story(minutes, seed, account, test)
