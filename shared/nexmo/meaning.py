"""The part of an ``Event`` that is read from the callback's fields, in whatever dialect they are."""

from datetime import datetime
from typing import TypedDict

from ackfirst.shared.nexmo.event import EventError, Price


class Meaning(TypedDict):
    """Every key is the field of ``Event`` with that name."""

    channel: str | None
    status: str | None
    sender: str | None
    recipient: str | None
    text: str | None
    content_type: str | None
    occurred_at: datetime | None
    client_ref: str | None
    error: EventError | None
    price: Price | None
