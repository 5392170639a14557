"""The verdict table: map each verdict to an HTTP status and to the fate of the callback.

Facts about the provider that the table rests on (``docs/nexmo.md``): only exactly 200 is success everywhere; 429 and
5xx are retried for 24 hours; any other 4xx may throw the callback away for good; an internal fault at Nexmo can send an
*unsigned* callback, and a 5xx then brings a signed one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Verdict(StrEnum):
    """The result of verifying and storing one callback."""

    VERIFIED = "verified"
    DUPLICATE = "duplicate"
    PROBE = "probe"
    UNREADABLE = "unreadable"
    SUSPECT = "suspect"
    UNSIGNED = "unsigned"
    UNSIGNED_AGAIN = "unsigned-again"
    FORGED = "forged"
    WRONG_PATH = "wrong-path"
    TOO_LARGE = "too-large"
    SHED = "shed"
    UNAVAILABLE = "unavailable"


class Fate(StrEnum):
    """The fate of the callback."""

    QUEUED = "queued"
    COUNTED = "counted"
    QUARANTINED = "quarantined"


class Policy(StrEnum):
    """The way to answer what cannot be verified."""

    NEVER_STALL = "never-stall"
    """The default: answer 200 to whatever may be genuine, and quarantine it."""
    STRICT = "strict"
    """Refuse with 401 whatever is not verified, and quarantine it all the same."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """One row of the table under one policy."""

    status: int
    """HTTP status."""
    fate: Fate
    retry_after: int | None = None
    """Seconds for the ``Retry-After`` header; None for no header."""


@dataclass(frozen=True, slots=True)
class Row:
    """One verdict: when it is given, and its ruling under either policy."""

    when: str
    never_stall: Ruling
    strict: Ruling

    def under(self, policy: Policy) -> Ruling:
        """Get the ruling that ``policy`` gives."""
        return self.strict if policy is Policy.STRICT else self.never_stall


def _same(when: str, ruling: Ruling) -> Row:
    return Row(when, never_stall=ruling, strict=ruling)


_QUARANTINED: Final = Ruling(200, Fate.QUARANTINED)
_REFUSED_BUT_KEPT: Final = Ruling(401, Fate.QUARANTINED)

TABLE: Final[Mapping[Verdict, Row]] = MappingProxyType(
    {
        Verdict.VERIFIED: _same(
            "signature, iss and payload_hash (or sig) all hold, whatever iat says", Ruling(200, Fate.QUEUED)
        ),
        Verdict.DUPLICATE: _same("verified, and seen before within 72 hours", Ruling(200, Fate.COUNTED)),
        Verdict.PROBE: _same(
            "no body and no parameter of a callback: Nexmo checks the URL when it is saved", Ruling(200, Fate.COUNTED)
        ),
        Verdict.UNREADABLE: _same("verified, but the body cannot be parsed", _QUARANTINED),
        Verdict.SUSPECT: Row(
            "plausible, but not confirmed by our configuration: a wrong or missing secret, an unknown api_key, "
            "a good signature without payload_hash",
            never_stall=_QUARANTINED,
            strict=_REFUSED_BUT_KEPT,
        ),
        Verdict.UNSIGNED: Row(
            "no token or no sig where one is required, body seen for the first time: asks for the signed retry",
            never_stall=Ruling(503, Fate.COUNTED, retry_after=5),
            strict=_REFUSED_BUT_KEPT,
        ),
        Verdict.UNSIGNED_AGAIN: Row(
            "no token or no sig, and the same body came unsigned before",
            never_stall=_QUARANTINED,
            strict=_REFUSED_BUT_KEPT,
        ),
        Verdict.FORGED: _same(
            "malformed token, another alg, a body that does not match payload_hash, a sig that is not hex",
            Ruling(401, Fate.COUNTED),
        ),
        Verdict.WRONG_PATH: _same(
            "not verified, and sent to a path that is none of our webhooks; what verifies is accepted at any path",
            Ruling(404, Fate.COUNTED),
        ),
        Verdict.TOO_LARGE: _same("body over 1 MiB", Ruling(413, Fate.COUNTED)),
        Verdict.SHED: _same("quarantine over its rate or size cap", Ruling(429, Fate.COUNTED, retry_after=60)),
        Verdict.UNAVAILABLE: _same(
            "the event could not be made durable, in Redis or on disk", Ruling(503, Fate.COUNTED, retry_after=5)
        ),
    }
)


def ruling(verdict: Verdict, policy: Policy) -> Ruling:
    """Look up what ``verdict`` means under ``policy``."""
    return TABLE[verdict].under(policy)
