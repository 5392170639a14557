"""Find the account whose secret made a ``sig``, with bounded work where the callback does not name its account.

Anybody can send a well-formed ``sig`` that no secret confirms. With 1,000 accounts of two secrets each, 100 kB of it
cost 147 ms, so seven requests a second occupied a process. Three bounds, in this order: the length of what is searched
for, the number of secrets that are tried on anything longer, and the share of time that fruitless searches may take.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo.sms_signature import SignatureCheck

#: Longest text whose signature is searched for among all secrets. One part of an SMS with everything around it has less
#: than 2 KiB.
MAX_SEARCHED_BYTES: Final = 4096

#: Accounts that are tried on a longer text.
ACCOUNTS_FOR_LONG_TEXTS: Final = 8

#: Accounts that are tried when fruitless searches have used up their share of time. The accounts that were confirmed
#: last come first, so that genuine callbacks of busy accounts are still confirmed during a flood.
ACCOUNTS_IN_A_FLOOD: Final = 64

#: Part of the time that searches without a result may take, and the time that they may save up for.
FRUITLESS_SHARE: Final = 0.1
FRUITLESS_BURST_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The secret that made a ``sig``."""

    account: Account
    secret: int
    """Index of it among the account's secrets."""
    check: int
    """Index of the check that it confirmed."""


class SecretSearch:
    """Tries the secrets of all accounts, those of the accounts that were confirmed last first.

    Args:
        accounts: All accounts.
        clock: Monotonic seconds, by which the work is bounded; None tries everything, however long it takes.
    """

    def __init__(self, accounts: Accounts, clock: Callable[[], float] | None) -> None:
        self._order = [account for account in accounts if account.secrets]
        self._clock = clock
        self._saved_seconds = FRUITLESS_BURST_SECONDS
        self._saved_at = clock() if clock else 0.0

    def find(self, checks: Sequence[SignatureCheck]) -> Found | None:
        """Find the secret that confirms one of ``checks``; None: none of those that were tried."""
        if self._clock is None:
            return self._try(checks, len(self._order))
        began = self._clock()
        self._saved_seconds += (began - self._saved_at) * FRUITLESS_SHARE
        self._saved_seconds = min(self._saved_seconds, FRUITLESS_BURST_SECONDS)
        self._saved_at = began
        found = self._try(checks, self._limit(checks))
        if found is None:
            self._saved_seconds -= self._clock() - began
        return found

    def tries_all(self, checks: Sequence[SignatureCheck]) -> bool:
        """True if a search would try every secret now."""
        return self._limit(checks) >= len(self._order)

    def _limit(self, checks: Sequence[SignatureCheck]) -> int:
        if self._clock is None:
            return len(self._order)
        if any(check.size > MAX_SEARCHED_BYTES for check in checks):
            return ACCOUNTS_FOR_LONG_TEXTS
        return len(self._order) if self._saved_seconds > 0 else ACCOUNTS_IN_A_FLOOD

    def _try(self, checks: Sequence[SignatureCheck], limit: int) -> Found | None:
        for position, account in enumerate(self._order[:limit]):
            found = try_secrets(account, checks)
            if found is not None:
                self._order.insert(0, self._order.pop(position))
                return found
        return None


def try_secrets(account: Account, checks: Sequence[SignatureCheck]) -> Found | None:
    """Try the secrets of one account."""
    for index, secret in enumerate(account.secrets):
        for number, check in enumerate(checks):
            if check.is_made_with(secret, account.sms_signature_method):
                return Found(account=account, secret=index, check=number)
    return None
