"""Keep callbacks that could not be verified, byte for byte, in a bounded Redis stream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from redis.asyncio import Redis

from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.record import RecordedRequest, request_text
from ackfirst.shared.queue.scripts import source
from ackfirst.shared.redis.client import FAILURES
from ackfirst.shared.redis.replicated import MASTER_ONLY, Replicas, WritingScript

VERSION: Final = b"1"

#: Characters of a claimed account or application that are kept in the name of a field.
LONGEST_CLAIM: Final = 64

_SCRIPT: Final = WritingScript(source("ackfirst.shared.quarantine", "add.lua"))
_KEYS: Final = (keys.QUARANTINE, keys.QUARANTINE_BYTES, keys.ACKNOWLEDGED, keys.LAST_UNCONFIRMED, keys.RECORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRecord:
    """One quarantined callback: all that is needed to verify it again, as of the time at which it was received.

    Text that came from the wire may hold surrogate escapes (PEP 383); they survive.
    """

    method: str
    path: str
    query: str
    content_type: str
    authorization: str
    """Holds a token: never show it."""
    body: bytes
    received_at: float
    """Unix seconds."""
    verdict: str
    reason: str
    """The check that decided, as in the log: ``signature-mismatch``…"""
    account: str = ""
    """The account that the callback claims to be of, unconfirmed; empty when it claims none."""
    user_agent: str = ""
    trace: str = ""
    """W3C ``traceparent`` of the request."""

    def encode(self) -> dict[bytes, bytes]:
        """Fields of the stream entry, without the empty ones."""
        values = ((name, _to_bytes(getattr(self, name))) for name in self.__slots__)
        return {b"v": VERSION, **{name.encode(): value for name, value in values if value}}

    @classmethod
    def decode(cls, fields: Mapping[bytes, bytes]) -> Self:
        """Read a stream entry.

        Raises:
            ValueError: It is of a version that this release does not know, or its time is not a number.
        """
        if (version := fields.get(b"v")) != VERSION:
            raise ValueError(f"quarantine record version {version!r} is not known here (newest known: {VERSION!r})")
        texts = {name: fields.get(name.encode(), b"").decode("utf-8", "surrogatepass") for name in _TEXT_FIELDS}
        return cls(body=fields.get(b"body", b""), received_at=float(fields.get(b"received_at", b"")), **texts)


_TEXT_FIELDS: Final = tuple(name for name in QuarantineRecord.__slots__ if name not in ("body", "received_at"))


def _to_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class QuarantineDepth:
    """The fill level of the quarantine."""

    records: int
    bytes: int


class Quarantine:
    """The stream in Redis. It refuses what would exceed its bounds; it never drops what it holds.

    ``is_recorded`` says whether the record is on, ``replicas`` how many of them must have a record.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        max_records: int,
        max_bytes: int,
        is_recorded: bool = False,
        replicas: Replicas = MASTER_ONLY,
    ) -> None:
        self._redis = redis
        self._replicas = replicas
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._is_recorded = is_recorded

    async def add(
        self, record: QuarantineRecord, *, application_id: str | None = None, family: str | None = None
    ) -> bool:
        """Add a callback; False when there is no room for it.

        ``application_id`` is what it claims to be of, ``family`` what it is about, for the record.

        Raises:
            QueueUnavailableError: Redis did not confirm the write.
        """
        fields = record.encode()
        size = sum(len(name) + len(value) for name, value in fields.items())
        pairs = [part for pair in fields.items() for part in pair]
        application = keys.application(record.account[:LONGEST_CLAIM], (application_id or "")[:LONGEST_CLAIM])
        about: list[Any] = [
            application.encode("utf-8", "backslashreplace"),
            record.received_at,
            keys.LAST_UNCONFIRMED_LIMIT,
            self._entry(record, application_id, family) if self._is_recorded else "",
        ]
        try:
            arguments = (self._max_records, self._max_bytes, size, *about, *pairs)
            return bool(await _SCRIPT.run(self._redis, _KEYS, arguments, self._replicas))
        except FAILURES as error:
            raise QueueUnavailableError(f"Redis did not confirm the quarantine record: {error}") from error

    def _entry(self, record: QuarantineRecord, application_id: str | None, family: str | None) -> bytes:
        """Describe the callback for the record, without the closing brace: the script adds the id."""
        request = RecordedRequest(
            at=record.received_at,
            verdict=record.verdict,
            reason=record.reason,
            account=record.account[:LONGEST_CLAIM] or None,
            application_id=application_id and application_id[:LONGEST_CLAIM],
            family=family,
        )
        return request_text(request)[:-1]

    async def depth(self) -> QuarantineDepth:
        """Records and bytes that it holds now."""
        records = await self._redis.xlen(keys.QUARANTINE)
        return QuarantineDepth(records, int(await self._redis.get(keys.QUARANTINE_BYTES) or 0))

    async def records(self, *, count: int) -> list[tuple[str, QuarantineRecord]]:
        """The oldest ``count`` records with their stream ids, oldest first."""
        entries: list[tuple[bytes, dict[bytes, bytes]]] = await self._redis.xrange(keys.QUARANTINE, count=count)  # type: ignore[assignment]  # the client does not decode
        return [(entry_id.decode(), QuarantineRecord.decode(fields)) for entry_id, fields in entries]
