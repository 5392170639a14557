"""Chooses how a callback proves itself."""

from typing import Final

from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.callback import Callback, Family
from ackfirst.shared.nexmo.classify import classify
from ackfirst.shared.nexmo.reading import read_unvouched
from ackfirst.shared.nexmo.token import SecretError, check_secret
from ackfirst.shared.nexmo.values import given
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification.result import Verification
from ackfirst.shared.verification.sig_path import URL_TOKEN, SigPath
from ackfirst.shared.verification.token_path import TokenPath, bearer_token
from ackfirst.shared.verification.unsigned_path import UnsignedPath

_PROBE: Final = Verification(verdict=Verdict.PROBE, reason="empty-request")
_SMS: Final = frozenset({Family.INBOUND_SMS, Family.DELIVERY_RECEIPT})


class Verifier:
    """Says of any callback whether it is genuine, and how we know. Never raises on one."""

    def __init__(self, accounts: Accounts, *, leeway: float = 300.0, max_age: float | None = None) -> None:
        """``leeway`` and ``max_age`` in seconds: how far a token's ``iat`` may lie in our future and in our past.

        Raises:
            ConfigurationError: An account has a secret that cannot be one.
        """
        _check_secrets(accounts)
        self._token_path = TokenPath(accounts=accounts, leeway=leeway, max_age=max_age)
        self._sig_path = SigPath(accounts=accounts)
        self._unsigned_path = UnsignedPath(accounts=accounts)

    def verify(self, callback: Callback, *, now: float) -> Verification:
        """The verdict at Unix time ``now``."""
        if callback.is_empty:
            return _PROBE
        token = bearer_token(callback.authorization)
        if token and callback.body:
            return self._token_path.verify(callback, token, now=now)
        return self._by_parameters(callback)

    def _by_parameters(self, callback: Callback) -> Verification:
        reading = read_unvouched(callback)
        if reading is None:
            return self._unsigned_path.verify(callback, None, None, "no-token")
        if not callback.body and reading.fields.keys() <= {URL_TOKEN}:
            return _PROBE
        family = classify(reading)
        if family not in _SMS:
            return self._unsigned_path.verify(callback, reading, family, "no-token")
        sig = given(reading.fields.get("sig"))
        if sig is None:
            return self._unsigned_path.verify(callback, reading, family, "no-sig")
        return self._sig_path.verify(callback, reading, family, sig)


def _check_secrets(accounts: Accounts) -> None:
    for account in accounts:
        for number, secret in enumerate(account.secrets, start=1):
            try:
                check_secret(secret)
            except SecretError as error:
                raise ConfigurationError(
                    f"signature secret {number} of account {account.api_key} cannot be used, check it: {error}"
                ) from error
