"""Find the callbacks of a message that could not be verified and wait in quarantine."""

from typing import Any, Final

from redis import Redis

from ackfirst.ops.quarantine.recheck import callback_of
from ackfirst.shared.nexmo.classify import classify
from ackfirst.shared.nexmo.reading import read
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.queue import keys
from ackfirst.shared.store.rows import Request

#: Records that are looked through, the newest first, and bytes of them. By default the quarantine holds 10,000.
MOST_RECORDS: Final = 10_000
MOST_BYTES: Final = 32 << 20
_PAGE: Final = 200


def quarantined(redis: Redis, key: str, notes: list[str]) -> list[Request]:
    """Find callbacks that name a message id or ``client_ref``; ``notes`` gets a sentence if some were left unread.

    Raises:
        RedisError: Redis does not answer.
    """
    text, found = key.encode(errors="surrogatepass"), []
    end, seen, size = "+", 0, 0
    while True:
        rows: Any = redis.xrevrange(keys.QUARANTINE, end, "-", count=_PAGE)
        for _, fields in rows:
            seen += 1
            size += sum(map(len, fields.values()))
            if text in fields.get(b"body", b"") or text in fields.get(b"query", b""):
                found += [_request(record)] if (record := _record(fields)) else []
        if len(rows) < _PAGE:
            return found
        if seen >= MOST_RECORDS or size >= MOST_BYTES:
            notes.append(f"only the newest {seen:,} callbacks in quarantine were looked through")
            return found
        end = f"({rows[-1][0].decode()}"


def _record(fields: Any) -> QuarantineRecord | None:
    try:
        return QuarantineRecord.decode(fields)
    except ValueError:
        return None


def _request(record: QuarantineRecord) -> Request:
    reading = read(callback_of(record))
    return Request(
        at=record.received_at,
        kind="quarantined",
        account=record.account or None,
        family=classify(reading).value if reading else None,
        verdict=record.verdict,
        reason=record.reason,
    )
