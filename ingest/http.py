"""What the HTTP side hands to the core, and what it gets back."""

from functools import cache

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.policy import Policy, Verdict, ruling
from ackfirst.shared.record import record


@record
class Arrival:
    """A callback with the headers that are kept as evidence only."""

    callback: Callback
    user_agent: str = ""
    trace: str | None = None
    """W3C ``traceparent``, if it had one."""


@record
class Answer:
    """What the sender hears."""

    status: int
    """HTTP status."""
    error: str | None = None
    """Value of ``{"error": …}``; None for an empty body. Never says which check failed."""
    retry_after: int | None = None
    """Seconds for the ``Retry-After`` header; None for no header."""


#: How often a body came unsigned is our affair, not the sender's.
_PUBLIC_NAMES = {Verdict.UNSIGNED_AGAIN: Verdict.UNSIGNED.value}


@cache
def answer(verdict: Verdict, policy: Policy) -> Answer:
    """What ``verdict`` says to the sender under ``policy``."""
    row = ruling(verdict, policy)
    error = None if row.status == 200 else _PUBLIC_NAMES.get(verdict, verdict.value)  # noqa: PLR2004 - the HTTP status
    return Answer(row.status, error, row.retry_after)
