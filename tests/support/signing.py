"""Tokens in any shape, right or wrong, and verifiers to show them to."""

import hashlib
import json
from dataclasses import replace
from typing import Any

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.token import sign_token
from ackfirst.shared.verification import Verification, Verifier
from tests.support.callbacks import callback
from tests.support.factories import API_KEY, APPLICATION, NOW, SECRET, inbound_message

BODY = json.dumps(inbound_message()).encode()
IAT = int(NOW)
JTI = "0b9d6a52-7f3e-4c1d-8e2a-94c5d1f06b37"


def account(**overrides: Any) -> Account:
    """Our account, with one secret."""
    return Account(**{"api_key": API_KEY, "secrets": (SECRET.encode(),), **overrides})


def verifier(*accounts: Account, **options: Any) -> Verifier:
    """A verifier of these accounts, of ours alone when none is given."""
    return Verifier(Accounts(accounts or (account(),)), **options)


def signed(body: bytes = BODY, *, secret: str = SECRET, **claims: Any) -> str:
    """A token as Nexmo makes it, through our own signing."""
    values = {"api_key": API_KEY, "application_id": APPLICATION, "iat": IAT, "jti": JTI, **claims}
    return sign_token(secret=secret.encode(), body=body, **values)


def claims_for(body: bytes = BODY, **overrides: Any) -> dict[str, Any]:
    """The claims of such a token."""
    return {
        "iat": IAT,
        "jti": JTI,
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": API_KEY,
        "application_id": APPLICATION,
        **overrides,
    }


def with_token(token: str, body: bytes = BODY, *, scheme: str = "Bearer ", **request: Any) -> Callback:
    """A JSON POST with that token in its ``Authorization``."""
    posted = callback(body, **{"content_type": "application/json", **request})
    return replace(posted, authorization=scheme + token)


def judge(request: Callback, *, by: Verifier | None = None, now: float = NOW) -> Verification:
    """What our verifier, or that one, says of a callback."""
    return (by or verifier()).verify(request, now=now)
