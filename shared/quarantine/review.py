"""Read the quarantine's records in either direction or one by one, and remove them."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.quarantine.stream import QuarantineDepth, QuarantineRecord
from ackfirst.shared.queue import keys
from ackfirst.shared.redis.client import FAILURES

#: Records in one round trip. A record is at most a body and its headers, about 1.1 MB.
PAGE: Final = 64

_SCRIPT: Final = files("ackfirst.shared.quarantine").joinpath("remove.lua").read_text()
_SHA: Final = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()  # how Redis names a script
_ID: Final = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in the quarantine."""

    id: str
    """Its id in the stream, ``<milliseconds>-<number>``: grows from record to record."""
    bytes: int
    """What it counts against the quarantine's limit."""
    record: QuarantineRecord | None
    """None when this release cannot read it."""

    @property
    def parked_at(self) -> float:
        """Unix seconds at which Redis took it."""
        return int(self.id.partition("-")[0]) / 1000


class QuarantineReview:
    """Reads and removes; every method raises ``QueueUnavailableError`` when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def depth(self) -> QuarantineDepth:
        """Records and bytes that it holds now."""
        with _redis_errors():
            records = await self._redis.xlen(keys.QUARANTINE)
            return QuarantineDepth(records, int(await self._redis.get(keys.QUARANTINE_BYTES) or 0))

    async def get(self, entry_id: str) -> Entry | None:
        """One entry; None when there is none of this id."""
        if not is_entry_id(entry_id):
            return None
        with _redis_errors():
            rows: Any = await self._redis.xrange(keys.QUARANTINE, entry_id, entry_id)
        return next(_entries(rows), None)

    async def oldest_first(self, *, after: str | None = None) -> AsyncIterator[Entry]:
        """All entries that are there when it begins, a page a round trip. They may be removed meanwhile."""
        with _redis_errors():
            newest: Any = await self._redis.xrevrange(keys.QUARANTINE, count=1)
        start = f"({after}" if after else "-"
        while newest:
            with _redis_errors():
                rows: Any = await self._redis.xrange(keys.QUARANTINE, start, newest[0][0], count=PAGE)
            for entry in _entries(rows):
                yield entry
            if len(rows) < PAGE:
                return
            start = f"({rows[-1][0].decode()}"

    async def newest_first(self, *, before: str | None = None) -> AsyncIterator[Entry]:
        """All entries, a page a round trip."""
        end = f"({before}" if before else "+"
        while True:
            with _redis_errors():
                rows: Any = await self._redis.xrevrange(keys.QUARANTINE, end, "-", count=PAGE)
            for entry in _entries(rows):
                yield entry
            if len(rows) < PAGE:
                return
            end = f"({rows[-1][0].decode()}"

    async def remove(self, entry_ids: Sequence[str]) -> QuarantineDepth:
        """Take entries out, in one atomic step a page; how many records and bytes went."""
        records = held = 0
        for start in range(0, len(entry_ids), PAGE):
            with _redis_errors():
                gone, size = await self._run(*entry_ids[start : start + PAGE])
            records, held = records + gone, held + size
        return QuarantineDepth(records, held)

    async def _run(self, *entry_ids: str) -> Any:
        call = (keys.QUARANTINE, keys.QUARANTINE_BYTES, *entry_ids)
        try:
            return await self._redis.evalsha(_SHA, 2, *call)
        except NoScriptError:  # the server is new, restarted or was failed over to
            return await self._redis.eval(_SCRIPT, 2, *call)


def is_entry_id(text: str) -> bool:
    """Return whether an entry could be called that."""
    return _ID.fullmatch(text) is not None


def _entries(rows: Sequence[Any]) -> Iterator[Entry]:
    for entry_id, fields in rows:
        yield Entry(entry_id.decode(), _size(fields), _record(fields))


def _size(fields: Mapping[bytes, bytes]) -> int:
    return sum(len(name) + len(value) for name, value in fields.items())


def _record(fields: Mapping[bytes, bytes]) -> QuarantineRecord | None:
    try:
        return QuarantineRecord.decode(fields)
    except ValueError:
        return None


@contextmanager
def _redis_errors() -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        raise QueueUnavailableError(f"Redis did not answer about the quarantine: {error}") from error
