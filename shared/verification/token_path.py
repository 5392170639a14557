"""Verify callbacks that bring a bearer token: all of the Messages API's. The token covers the body, nothing else."""

from dataclasses import dataclass
from typing import Final

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.classify import classify
from ackfirst.shared.nexmo.reading import read, read_unverified
from ackfirst.shared.nexmo.token import ISSUER, Claims, Token, TokenError, parse
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification.result import Verification

#: The reason given for a verified token whose ``iat`` is further ahead than clocks may differ. Its signature is as good
#: as any, and as a rule the slow clock is ours: refusing it would quarantine everything that the provider sends.
FROM_THE_FUTURE: Final = "issued-in-the-future"

_SCHEME: Final = "bearer"


def bearer_token(authorization: str) -> str:
    """Get the token of an ``Authorization`` header; empty when there is none or the scheme is another."""
    scheme, _, token = authorization.strip(" \t").partition(" ")
    return token.strip(" \t") if scheme.lower() == _SCHEME else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPath:
    """Judges a callback by its token."""

    accounts: Accounts
    leeway: float
    """Seconds that a token may be issued in our future before ``FROM_THE_FUTURE`` is its reason."""
    max_age: float | None
    """Seconds after which a token is too old; None for never."""

    def verify(self, callback: Callback, text: str, *, now: float) -> Verification:
        """Judge a callback with a body and the bearer token ``text``, at Unix time ``now``."""
        try:
            token = parse(text)
        except TokenError as error:
            return Verification(verdict=Verdict.FORGED, reason=str(error))
        forgery = _forgery(token.claims, callback.body)
        if forgery is not None:
            return _forged(token.claims, forgery)
        return self._plausible(callback, token, now)

    def _plausible(self, callback: Callback, token: Token, now: float) -> Verification:
        api_key = token.claims.api_key
        if api_key is None:
            return _unconfirmed(callback, token.claims, "no-api-key")
        account = self.accounts.get(api_key)
        if account is None:
            return _unconfirmed(callback, token.claims, "unknown-api-key")
        secret = _confirming_secret(token, account)
        if secret is not None:
            return self._confirmed(callback, token.claims, secret, now)
        if token.claims.payload_hash is None:
            return _forged(token.claims, "signature-mismatch")
        reason = "signature-mismatch" if account.secrets else "no-secret"
        return _unconfirmed(callback, token.claims, reason, account=api_key)

    def _confirmed(self, callback: Callback, claims: Claims, secret: int, now: float) -> Verification:
        doubt = self._doubt(claims, now)
        reading = read(callback)
        return Verification(
            verdict=Verdict.SUSPECT if doubt else Verdict.VERIFIED if reading else Verdict.UNREADABLE,
            reason=doubt or (self._reason(claims, now) if reading else "unreadable-body"),
            account=claims.api_key,
            claimed_account=claims.api_key,
            application_id=claims.application_id,
            claimed_application_id=claims.application_id,
            reading=reading,
            family=classify(reading) if reading else None,
            iat=claims.iat,
            jti=claims.jti,
            secret=secret,
            skew=_skew(claims, now),
        )

    def _doubt(self, claims: Claims, now: float) -> str | None:
        """Say why a token is not enough, although the account's secret signed it."""
        if claims.payload_hash is None:
            return "no-payload-hash"
        if claims.iat is None:
            return None if self.max_age is None else "no-iat"
        if self.max_age is not None and now - claims.iat > self.max_age:
            return "too-old"
        return None

    def _reason(self, claims: Claims, now: float) -> str:
        return FROM_THE_FUTURE if (_skew(claims, now) or 0.0) > self.leeway else "token"


def _forgery(claims: Claims, body: bytes) -> str | None:
    """Say what is wrong that no misconfiguration of ours explains."""
    if claims.iss != ISSUER:
        return "issuer-not-vonage"
    if claims.payload_hash is not None and not claims.cover(body):
        return "payload-hash-mismatch"
    return None


def _confirming_secret(token: Token, account: Account) -> int | None:
    for index, secret in enumerate(account.secrets):
        if token.is_confirmed_by(secret):
            return index
    return None


def _unconfirmed(callback: Callback, claims: Claims, reason: str, *, account: str | None = None) -> Verification:
    reading = read_unverified(callback)
    return Verification(
        verdict=Verdict.SUSPECT,
        reason=reason,
        account=account,
        claimed_account=claims.api_key,
        claimed_application_id=claims.application_id,
        reading=reading,
        family=classify(reading) if reading else None,
    )


def _forged(claims: Claims, reason: str) -> Verification:
    return Verification(
        verdict=Verdict.FORGED,
        reason=reason,
        claimed_account=claims.api_key,
        claimed_application_id=claims.application_id,
    )


def _skew(claims: Claims, now: float) -> float | None:
    return claims.iat - now if claims.iat is not None and claims.iat > now else None
