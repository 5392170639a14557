"""What can become of a message: the statuses that follow each other, in their order."""

from typing import Final

FAILURES: Final = frozenset({"rejected", "undeliverable"})

#: Statuses of the Messages API where nobody reports that a message was read (sms, mms).
UNREAD_LIVES: Final = (
    ("submitted", "delivered"),
    ("submitted", "rejected"),
    ("submitted", "undeliverable"),
    ("rejected",),
)

#: Statuses of the Messages API on the other channels; ``read`` may come without ``delivered``.
READ_LIVES: Final = (
    ("submitted", "delivered", "read"),
    ("submitted", "read"),
    ("submitted", "rejected"),
    ("undeliverable",),
)

#: Receipts of the SMS API.
RECEIPT_LIVES: Final = (
    ("accepted", "delivered"),
    ("accepted", "buffered", "delivered"),
    ("buffered", "expired"),
    ("accepted", "failed"),
    ("rejected",),
    ("unknown",),
)

#: Code → title of the errors that the simulated provider reports (Messages API).
ERRORS: Final = (
    ("1022", "Invalid template"),
    ("1120", "Illegal sender address"),
    ("1240", "The recipient opted out"),
    ("1340", "Outside of the allowed reply window"),
    ("1360", "The message expired"),
    ("1490", "Not every part was confirmed in time"),
)


def lives(channel: str) -> tuple[tuple[str, ...], ...]:
    """The courses that a message on ``channel`` can take."""
    return UNREAD_LIVES if channel in ("sms", "mms") else READ_LIVES
