"""What a test looks at."""

from dataclasses import dataclass

from ackfirst.shared.nexmo.event import Event


@dataclass(frozen=True, slots=True)
class Handled:
    """One attempt of a handler."""

    event: Event
    handler: str
    """``module.function``."""
    attempt: int
    """From 1."""
    error: BaseException | None
    """What it raised."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One callback."""

    status: int
    """What Nexmo hears, under the default policy."""
    verdict: str
    """Such as ``verified``, ``duplicate`` or ``unsigned``; ``ackfirst policy`` lists them."""
    event: Event | None
    """None where the callback was not verified."""
    outcome: str | None
    """``processed``, ``discarded``, ``retried`` or ``dead``; None where no handler was asked."""
