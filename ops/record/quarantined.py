"""Find the callbacks of a message that could not be verified and wait in quarantine."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from redis import Redis

from ackfirst.ops.quarantine.recheck import callback_of
from ackfirst.shared.nexmo.classify import classify, message_id
from ackfirst.shared.nexmo.reading import Reading, read
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.queue import keys
from ackfirst.shared.store.rows import Request

#: Records that are looked through, the newest first, and bytes of them. By default the quarantine holds 10,000.
MOST_RECORDS: Final = 10_000
MOST_BYTES: Final = 32 << 20
#: Characters of a key that is looked for in what cannot be read: a shorter one stands in any text.
LEAST_CHARACTERS: Final = 8
_PAGE: Final = 200


def quarantined(redis: Redis, key: str, notes: list[str]) -> list[Request]:
    """Find callbacks that name a message id or ``client_ref``; ``notes`` gets a sentence if some were left unread.

    Raises:
        RedisError: Redis does not answer.
    """
    text = key.encode(errors="surrogatepass")
    found = ((record, read(callback_of(record))) for record in _records(redis, text, notes)) if key else ()
    return [_request(record)[1] for record, reading in found if _holds(reading, key)]


def quarantined_messages(redis: Redis, notes: list[str]) -> dict[str, Request]:
    """List the messages that callbacks in quarantine are about: message id → the newest callback.

    Raises:
        RedisError: Redis does not answer.
    """
    found: dict[str, Request] = {}
    for record in _records(redis, b"", notes):
        message, request = _request(record)
        if message is not None:
            found.setdefault(message, request)
    return found


def _records(redis: Redis, text: bytes, notes: list[str]) -> Iterator[QuarantineRecord]:
    """Read the records whose callback holds a text, newest first."""
    end, seen, size = "+", 0, 0
    while True:
        rows: Any = redis.xrevrange(keys.QUARANTINE, end, "-", count=_PAGE)
        for _, fields in rows:
            seen += 1
            size += sum(map(len, fields.values()))
            if text in fields.get(b"body", b"") or text in fields.get(b"query", b""):
                with suppress(ValueError):  # another release wrote it
                    yield QuarantineRecord.decode(fields)
        if len(rows) < _PAGE:
            return
        if seen >= MOST_RECORDS or size >= MOST_BYTES:
            notes.append(f"only the newest {seen:,} callbacks in quarantine were looked through")
            return
        end = f"({rows[-1][0].decode()}"


def _holds(reading: Reading | None, key: str) -> bool:
    """Return whether a callback with the key in its text has it as a whole value; an unreadable one may have."""
    return len(key) >= LEAST_CHARACTERS if reading is None else key in _texts(reading.fields)


def _texts(value: Any) -> Iterator[str]:
    """Yield every value in a callback as text, however deep: where a version has its ids is not known here."""
    if isinstance(value, str | int):
        yield str(value)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _request(record: QuarantineRecord) -> tuple[str | None, Request]:
    """Return the id of the message that a callback is about, and its row."""
    reading = read(callback_of(record))
    family = classify(reading) if reading else None
    request = Request(
        at=record.received_at,
        kind="quarantined",
        account=record.account or None,
        family=None if family is None else family.value,
        verdict=record.verdict,
        reason=record.reason,
    )
    return (message_id(family, reading.fields) if reading and family else None), request
