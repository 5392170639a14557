"""Verify callbacks that no signature can confirm: genuine only where an account lets their family be unsigned."""

import hmac
from collections.abc import Sequence
from dataclasses import replace

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.reading import Reading, read_as
from ackfirst.shared.nexmo.values import given
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification.result import Verification
from ackfirst.shared.verification.sig_path import URL_TOKEN, without_leading_unknown, without_url_token


class UnsignedPath:
    """Judges a callback without signature, or with one that its account has no secret for."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._allowing = [account for account in accounts if account.allow_unsigned]

    def verify(self, callback: Callback, reading: Reading | None, family: Family | None, reason: str) -> Verification:
        """Verified if an account allows it; otherwise unsigned for ``reason``, or because the URL's token is wrong."""
        claimed = given(reading.fields.get("api-key")) if reading else None
        allowing = [account for account in self._candidates(claimed) if family in account.allow_unsigned]
        admitting = [account for account in allowing if _admits(account, callback.query)]
        unsigned = Verification(
            verdict=Verdict.UNSIGNED,
            reason="url-token-mismatch" if allowing else reason,
            claimed_account=claimed,
            reading=reading,
            family=family,
        )
        return _accepted(unsigned, admitting) if admitting else unsigned

    def verify_suspect(self, callback: Callback, suspect: Verification) -> Verification:
        """Accept a signed callback of an account without secrets that takes its family unsigned; else ``suspect``.

        The same callback without its signature would be accepted. An account that has secrets is another matter: there
        a signature that none of them confirms is a reason to doubt.
        """
        allowing = [one for one in self._candidates(suspect.claimed_account) if suspect.family in one.allow_unsigned]
        admitting = [one for one in allowing if not one.secrets and _admits(one, callback.query)]
        return _accepted(suspect, admitting) if admitting else suspect

    def _candidates(self, api_key: str | None) -> Sequence[Account]:
        if api_key is None:
            return self._allowing
        account = self._accounts.get(api_key)
        return [] if account is None else [account]


def _accepted(found: Verification, admitting: Sequence[Account]) -> Verification:
    reading = found.reading
    if reading is not None and reading.encoding == "query":
        reading = without_url_token(Reading("query", without_leading_unknown(reading.fields)))
    return replace(
        found,
        verdict=Verdict.VERIFIED,
        reason="allowed-unsigned",
        account=_only(admitting),
        reading=reading,
    )


def _admits(account: Account, query: str) -> bool:
    """Check in constant time that the URL held the account's token; an account without one asks for nothing."""
    if account.url_token is None:
        return True
    given_token = _url_token(query)
    return bool(given_token) and hmac.compare_digest(_bytes(given_token), _bytes(account.url_token))


def _only(admitting: Sequence[Account]) -> str | None:
    """Get the account, when one alone admits the callback, or one alone by its own URL token."""
    by_token = [account for account in admitting if account.url_token is not None]
    accounts = by_token or admitting
    return accounts[0].api_key if len(accounts) == 1 else None


def _url_token(query: str) -> str:
    reading = read_as("query", body=b"", query=query)
    return str(reading.fields.get(URL_TOKEN, "")) if reading else ""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
