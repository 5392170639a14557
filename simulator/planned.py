"""One callback that is to be sent: what it says, who claims to send it, and what must become of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.policy import Verdict
from ackfirst.simulator.content import Content


class Kind(StrEnum):
    """How honest a callback is."""

    GENUINE = "genuine"
    DUPLICATE = "duplicate"
    """A genuine one once more, signed afresh as by a provider that missed the answer."""
    UNSIGNED = "unsigned"
    """Without token or ``sig``, as the provider sends after an internal fault; the signed retry is genuine."""
    WRONG_SECRET = "wrong-secret"  # noqa: S105 - the name of a kind, not a secret
    """Complete, but signed by somebody who does not know the account's secret."""
    TAMPERED = "tampered"
    """Changed after it was signed."""

    @property
    def is_forged(self) -> bool:
        """Whether no handler may ever see it."""
        return self in (Kind.WRONG_SECRET, Kind.TAMPERED)


class Tampering(StrEnum):
    """What was changed after signing."""

    BODY = "body"
    """Another body under a genuine token."""
    CLAIMS = "claims"
    """Another body, and the token's claims changed to fit it."""
    ALGORITHM = "algorithm"
    """A token that says that it needs no signature."""
    PARAMETER = "parameter"
    """Another parameter under a genuine ``sig``."""
    SIG = "sig"
    """A ``sig`` that is no hex."""


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
"""``suspect`` where a wrong secret on our side would look the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One callback of the traffic, not signed yet: a token is fresh at every attempt."""

    kind: Kind
    content: Content
    application_id: str | None
    """Claim of the token; None for callbacks of the account."""
    body: bytes
    """Exactly the bytes to send; empty for the SMS API, whose parameters take the signature in."""
    content_type: str | None
    """Header to send; None for none at all."""
    tampering: Tampering | None = None
    slow: bool = False
    """Whether its bytes come slowly."""
    event_id: str
    """What ackfirst calls the event. Of a forged callback: the id that no handler may ever see."""
    verdict: Verdict
    """What a receiver should find at the first attempt."""


def expected_verdict(
    kind: Kind, content: Content, tampering: Tampering | None, allow_unsigned: frozenset[Family]
) -> Verdict:
    """What a receiver should find at the first attempt; ``allow_unsigned``: families that need no signature there."""
    match kind:
        case Kind.UNSIGNED if content.family not in allow_unsigned:
            return Verdict.UNSIGNED
        case Kind.WRONG_SECRET:
            return Verdict.SUSPECT
        case Kind.TAMPERED if tampering:
            return TAMPERING_VERDICTS[tampering]
        case _:
            return Verdict.VERIFIED
