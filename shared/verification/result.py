"""The result of verifying one callback."""

from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.reading import Reading
from ackfirst.shared.policy import Verdict
from ackfirst.shared.record import named_record


@named_record
class Verification:
    """The verdict and the evidence for it."""

    verdict: Verdict
    """One of verified, probe, unreadable, suspect, unsigned, forged."""
    reason: str
    """The check that decided, a short kebab-case name from a fixed set: fit for a log line and a metric's label."""
    account: str | None = None
    """The ``api_key`` of one of our accounts: confirmed, or of a suspect callback only claimed. None when verified:
    several accounts allow this family unsigned, and nothing in the callback says which one it is."""
    claimed_account: str | None = None
    """The ``api_key`` that the callback names. Unverified text unless verified: never a metric's label."""
    application_id: str | None = None
    """Claim of a token whose signature holds; None otherwise."""
    claimed_application_id: str | None = None
    """The same claim of any token that could be read. Unverified text unless ``application_id`` is set."""
    reading: Reading | None = None
    """The callback's fields, where they were looked at and could be read. When verified, only what may be used: nothing
    that a ``sig`` does not cover, and no parameter of the webhook's own URL."""
    family: Family | None = None
    """The family of ``reading``; None without one."""
    iat: int | None = None
    """Claim of a token whose signature holds, Unix seconds. Evidence, never a key."""
    jti: str | None = None
    """Claim of a token whose signature holds. Evidence, never a key."""
    secret: int | None = None
    """Which of the account's secrets confirmed it, counted from 0."""
    skew: float | None = None
    """Seconds by which a token whose signature holds was issued in our future; None if it was not. For the log and the
    metric of clock skew: the callback is verified all the same."""
