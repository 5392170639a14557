"""Make an event of a callback's fields: one shape for Messages v1, v0.1 and the SMS API. Nothing is refused."""

from datetime import UTC, datetime

import orjson

from ackfirst.shared.nexmo.classify import fields_of, message_id
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.reading import Reading
from ackfirst.shared.nexmo.values import encodable


def normalise(
    *,
    id: str,  # noqa: A002 - the name of the event's field
    family: Family,
    reading: Reading,
    account: str | None,
    application_id: str | None,
    received_at: float,
    raw: bytes,
) -> Event:
    """Make the event that ``reading`` describes. Never raises, whatever the fields hold.

    Args:
        id: The event's id (``ackfirst.shared.nexmo.identity``).
        family: What ``classify`` said of ``reading``.
        reading: The callback's fields.
        account: The ``api_key`` that verification confirmed.
        application_id: The application that the token named.
        received_at: Unix seconds.
        raw: The body, or the query of a callback without one.
    """
    fields = payload = fields_of(family, reading)
    try:
        orjson.dumps(fields)  # the fastest way to ask whether a handler can write them anywhere
    except TypeError:
        # A handler that writes a lone surrogate to a file, a database or JSON fails at every attempt.
        fields, payload = encodable(fields, keep_literals=True), encodable(fields)
    return Event(
        id=id,
        family=family.value,
        message_id=message_id(family, fields),
        received_at=datetime.fromtimestamp(received_at, UTC),
        account=account,
        application_id=application_id,
        payload=payload,
        raw=raw,
        **family.facts.read(fields),
    )
