"""List the sequences of statuses that an outbound message can have, and the error codes of its failures."""

from typing import Final

FAILURES: Final = frozenset({"rejected", "undeliverable"})

#: Statuses of the Messages API on channels that never report ``read`` (sms, mms).
_WITHOUT_READ: Final = (
    ("submitted", "delivered"),
    ("submitted", "rejected"),
    ("submitted", "undeliverable"),
    ("rejected",),
)

#: Statuses of the Messages API on the other channels; ``read`` may come without ``delivered``.
_WITH_READ: Final = (
    ("submitted", "delivered", "read"),
    ("submitted", "read"),
    ("submitted", "rejected"),
    ("undeliverable",),
)

#: Receipts of the SMS API.
RECEIPT_SEQUENCES: Final = (
    ("accepted", "delivered"),
    ("accepted", "buffered", "delivered"),
    ("buffered", "expired"),
    ("accepted", "failed"),
    ("rejected",),
    ("unknown",),
)

#: Code and title of errors that can occur on any channel (Messages API, "Errors"): a selection of the real codes, those
#: that a handler has to tell apart.
_ANYWHERE: Final = (
    ("1000", "Throttled"),
    ("1020", "Invalid parameters"),
    ("1120", "Illegal sender address"),
    ("1170", "Invalid or missing recipient"),
    ("1240", "The recipient opted out"),
    ("1330", "Unknown error of the provider"),
    ("1331", "The provider does not respond"),
    ("1360", "The message expired"),
)
_PHONE_NETWORK: Final = (
    ("1180", "Absent subscriber, temporary"),
    ("1190", "Absent subscriber, permanent"),
    ("1210", "Anti-spam rejection"),
    ("1220", "Handset busy"),
    ("1230", "Network error"),
    ("1260", "Destination unreachable"),
    ("1280", "Blocked by the carrier"),
    ("1290", "Prepaid recipient without credit"),
)
_CHAT: Final = (
    ("1022", "Invalid template"),
    ("1300", "Not a user of the provider's network"),
    ("1340", "Outside of the allowed reply window"),
    ("1380", "The media cannot be reached"),
    ("1382", "The type of the media is not supported"),
)


def error_codes(channel: str) -> tuple[tuple[str, str], ...]:
    """Return code and title of each error that can occur on ``channel``."""
    if channel == "sms":
        return (*_ANYWHERE, *_PHONE_NETWORK, ("1490", "Not every part was confirmed in time"))
    return (*_ANYWHERE, *_PHONE_NETWORK) if channel == "mms" else (*_ANYWHERE, *_CHAT)


def status_sequences(channel: str) -> tuple[tuple[str, ...], ...]:
    """Return the sequences of statuses that a message on ``channel`` can have."""
    return _WITHOUT_READ if channel in ("sms", "mms") else _WITH_READ
