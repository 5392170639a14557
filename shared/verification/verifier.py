"""Verify a callback by the proof it must bring: its token, its ``sig``, or an account that asks for neither."""

from collections.abc import Callable
from typing import Final

from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.classify import classify
from ackfirst.shared.nexmo.family import Product
from ackfirst.shared.nexmo.reading import read_unverified
from ackfirst.shared.nexmo.sms import PARAMETERS
from ackfirst.shared.nexmo.token import SecretError, check_secret
from ackfirst.shared.nexmo.values import given
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification.result import Verification
from ackfirst.shared.verification.sig_path import SigPath
from ackfirst.shared.verification.token_path import TokenPath, bearer_token
from ackfirst.shared.verification.unsigned_path import UnsignedPath

_PROBE: Final = Verification(verdict=Verdict.PROBE, reason="empty-request")


class Verifier:
    """Says of any callback whether it is genuine, and by what. Never raises on one."""

    def __init__(
        self,
        accounts: Accounts,
        *,
        leeway: float = 300.0,
        max_age: float | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Prepare to verify callbacks of these accounts.

        Args:
            accounts: Whose callbacks are genuine.
            leeway: Seconds that a token's ``iat`` may lie in our future before that becomes the verdict's reason.
            max_age: Seconds that a token's ``iat`` may lie in our past; None for any time.
            clock: Monotonic seconds. Given, the work for callbacks that nothing confirms is bounded; without it every
                secret is tried.

        Raises:
            ConfigurationError: An account has a secret that cannot be one.
        """
        _check_secrets(accounts)
        self._token_path = TokenPath(accounts=accounts, leeway=leeway, max_age=max_age)
        self._sig_path = SigPath(accounts, clock=clock)
        self._unsigned_path = UnsignedPath(accounts)

    def verify(self, callback: Callback, *, now: float) -> Verification:
        """Judge a callback at Unix time ``now``."""
        if callback.is_empty:
            return _PROBE
        token = bearer_token(callback.authorization)
        if token and callback.body:
            found = self._token_path.verify(callback, token, now=now)
            return self._unsigned_path.verify_suspect(callback, found) if found.verdict is Verdict.SUSPECT else found
        return self._by_parameters(callback)

    def _by_parameters(self, callback: Callback) -> Verification:
        reading = read_unverified(callback)
        if reading is None:
            return self._unsigned_path.verify(callback, None, None, "no-token")
        if not callback.body and PARAMETERS.isdisjoint(reading.fields):
            return _PROBE  # what there is belongs to the webhook's own URL, which Nexmo checks when it is saved
        sig = given(reading.fields.get("sig"))
        if sig is not None:
            found = self._sig_path.verify(reading, sig)
            return self._unsigned_path.verify_suspect(callback, found) if found.verdict is Verdict.SUSPECT else found
        family = classify(reading)
        reason = "no-sig" if family.facts.product is Product.SMS else "no-token"
        return self._unsigned_path.verify(callback, reading, family, reason)


def _check_secrets(accounts: Accounts) -> None:
    for account in accounts:
        for number, secret in enumerate(account.secrets, start=1):
            try:
                check_secret(secret)
            except SecretError as error:
                raise ConfigurationError(
                    f"signature secret {number} of account {account.api_key} cannot be used, check it: {error}"
                ) from error
