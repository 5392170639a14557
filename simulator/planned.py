"""Define one callback that is to be sent: its content, how it is signed, and the verdict that it should get."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.policy import Verdict
from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.content import Content


class Kind(StrEnum):
    """The genuineness of a callback, or its fault."""

    GENUINE = "genuine"
    DUPLICATE = "duplicate"
    """A genuine one once more, signed afresh, as Nexmo sends it when it missed the answer."""
    UNSIGNED = "unsigned"
    """Without token or ``sig``, as Nexmo sends it after an internal fault; the signed retry is genuine."""
    WRONG_SECRET = "wrong-secret"  # noqa: S105 - the name of a kind, not a secret
    """Complete, but signed with another secret than the account's."""
    TAMPERED = "tampered"
    """Changed after it was signed."""

    @property
    def is_forged(self) -> bool:
        """True if no handler may ever see it."""
        return self in (Kind.WRONG_SECRET, Kind.TAMPERED)


class Tampering(StrEnum):
    """Which part was changed after signing."""

    BODY = "body"
    """Another body under a genuine token."""
    CLAIMS = "claims"
    """Another body, and claims of the token that match it."""
    ALGORITHM = "algorithm"
    """A token with ``"alg": "none"``."""
    PARAMETER = "parameter"
    """Another parameter under a genuine ``sig``."""
    SIG = "sig"
    """A ``sig`` that is not hexadecimal."""


TOKEN_TAMPERINGS: Final = (Tampering.BODY, Tampering.CLAIMS, Tampering.ALGORITHM)
PARAMETER_TAMPERINGS: Final = (Tampering.PARAMETER, Tampering.SIG)

TAMPERING_VERDICTS: Final[Mapping[Tampering, Verdict]] = MappingProxyType(
    {
        Tampering.BODY: Verdict.FORGED,
        Tampering.CLAIMS: Verdict.SUSPECT,
        Tampering.ALGORITHM: Verdict.FORGED,
        Tampering.PARAMETER: Verdict.SUSPECT,
        Tampering.SIG: Verdict.FORGED,
    }
)
"""``suspect`` where a wrong secret in the receiver's configuration would look the same."""

_CONTENT_TYPES: Final = {"json": "application/json", "form": "application/x-www-form-urlencoded", "query": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One callback of the traffic. It is not signed yet, because each attempt carries a fresh signature."""

    kind: Kind
    content: Content
    application_id: str | None
    """Claim of the token; None for callbacks of the account."""
    body: bytes
    """Exact bytes to send; empty for the SMS API, whose signature is one of the parameters."""
    content_type: str | None
    """Header to send; None to send none."""
    tampering: Tampering | None = None
    slow: bool = False
    """Whether the body is sent over two seconds."""
    event_id: str
    """The id that ackfirst gives the event. Of a forged callback: the id that no handler may ever see."""
    verdict: Verdict
    """The verdict that a receiver should reach at the first attempt."""


def expected_verdict(
    kind: Kind, content: Content, tampering: Tampering | None, allow_unsigned: frozenset[Family]
) -> Verdict:
    """Return the right verdict at the first attempt; the receiver accepts ``allow_unsigned`` families unsigned."""
    match kind:
        case Kind.UNSIGNED if content.family not in allow_unsigned:
            return Verdict.UNSIGNED
        case Kind.WRONG_SECRET:
            return Verdict.SUSPECT
        case Kind.TAMPERED if tampering:
            return TAMPERING_VERDICTS[tampering]
        case _:
            return Verdict.VERIFIED


def genuine(content: Content, account: SigningAccount, application: str | None, body: bytes | None = None) -> Planned:
    """Return a genuine callback of ``account`` with this content.

    Args:
        content: Its family, fields and transport.
        account: Whose secret will sign it.
        application: Claim of the token; without effect in the SMS API, whose callbacks name no application.
        body: Exact bytes; by default the fields as JSON. Without effect in the SMS API.
    """
    if not content.has_token:
        body, application = b"", None
    elif body is None:
        body = json.dumps(content.fields).encode()
    return Planned(
        kind=Kind.GENUINE,
        content=content,
        application_id=application,
        body=body,
        content_type=_CONTENT_TYPES[content.transport],
        event_id=event_id(content.family, account.api_key, content.fields, body),
        verdict=Verdict.VERIFIED,
    )
