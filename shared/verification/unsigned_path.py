"""Callbacks without token and ``sig``: genuine only where an account allows their family to come unsigned."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo.callback import Callback, Family
from ackfirst.shared.nexmo.reading import Reading, read_as
from ackfirst.shared.nexmo.values import given
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification.result import Verification
from ackfirst.shared.verification.sig_path import URL_TOKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedPath:
    """Judges a callback that proves nothing about itself."""

    accounts: Accounts

    def verify(self, callback: Callback, reading: Reading | None, family: Family | None, reason: str) -> Verification:
        """Verified if an account allows it; otherwise unsigned for ``reason``, or because the URL's token is wrong."""
        claimed = given(reading.fields.get("api-key")) if reading else None
        allowing = [account for account in self._candidates(claimed) if family in account.allow_unsigned]
        admitting = [account for account in allowing if _admits(account, callback.query)]
        return Verification(
            verdict=Verdict.VERIFIED if admitting else Verdict.UNSIGNED,
            reason="allowed-unsigned" if admitting else "url-token-mismatch" if allowing else reason,
            account=_only(admitting),
            claimed_account=claimed,
            reading=reading,
            family=family,
        )

    def _candidates(self, api_key: str | None) -> Sequence[Account]:
        if api_key is None:
            return list(self.accounts)
        account = self.accounts.get(api_key)
        return [] if account is None else [account]


def _admits(account: Account, query: str) -> bool:
    """Whether the URL held the account's token, in constant time; an account without one asks for nothing."""
    if account.url_token is None:
        return True
    given_token = _url_token(query)
    return bool(given_token) and hmac.compare_digest(_bytes(given_token), _bytes(account.url_token))


def _only(admitting: Sequence[Account]) -> str | None:
    """The account, when one alone admits the callback, or one alone by its own URL token."""
    by_token = [account for account in admitting if account.url_token is not None]
    accounts = by_token or admitting
    return accounts[0].api_key if len(accounts) == 1 else None


def _url_token(query: str) -> str:
    reading = read_as("query", body=b"", query=query)
    return str(reading.fields.get(URL_TOKEN, "")) if reading else ""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
