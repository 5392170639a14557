"""Read the stream of the record in Redis, and let go of what the store holds."""

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import RESULT_TTL_SECONDS
from ackfirst.shared.queue.record import (
    ACKNOWLEDGED,
    GAP_AT,
    GAP_EVENTS,
    GAP_RECENT,
    OFF_AT,
    POSITION,
    RECORDED,
    RecordEntry,
)
from ackfirst.shared.record import named_record
from ackfirst.workers.replies import text
from ackfirst.workers.scripts import script

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Position before the first entry.
START: Final = "0-0"
#: Entries of one read. One holds up to 256 events.
ENTRIES_A_READ: Final = 64
#: Ids of one call of a script: about a millisecond in which the server answers nobody else. 500 took it up to 4.8.
IDS_A_CALL: Final = 100


@named_record
class Release:
    """The keys that may go once the store holds a batch."""

    position: str
    """Id of the batch's last entry."""
    finished: Sequence[tuple[str, str]] = ()
    """Lane and id of each job that has finished."""
    late: Sequence[str] = ()
    """Ids of events whose arrival was recorded although the stream did not have it."""
    acknowledged: int | None = None
    """The counter of acknowledged events at that entry."""
    recorded: int = 0
    """Arrivals in the batch."""
    gap: int = 0
    """Events that the batch misses."""


class RecordStream:
    """The stream in Redis, read by one process. Every method may raise what redis-py raises."""

    def __init__(self, redis: Redis, *, log: "FilteringBoundLogger") -> None:
        self._redis = redis
        self._log = log
        self._read = script(redis, "record_read")
        self._release = script(redis, "record_release")
        self._cursor = START
        self._waiting: deque[RecordEntry] = deque()

    @property
    def events(self) -> int:
        """Count the events of the entries that were read and not taken."""
        return sum(weight(entry) for entry in self._waiting)

    def seek(self, position: str) -> None:
        """Go on behind ``position``."""
        self._cursor = position
        self._waiting.clear()

    def fetch(self, events: int, *, wait: float = 0.0) -> None:
        """Read entries until they have so many events, or no more are there; ``wait`` seconds for the first one."""
        while self.events < events:
            rows: Any = self._redis.xrange(keys.RECORD, f"({self._cursor}", "+", count=ENTRIES_A_READ)
            if not rows and not self._waiting and wait:
                self._redis.xread({keys.RECORD: self._cursor}, count=1, block=int(wait * 1000))
                wait = 0.0
                continue
            for entry_id, fields in rows:
                self._cursor = text(entry_id)
                try:
                    self._waiting.append(RecordEntry.decode(entry_id, fields))
                except ValueError as error:
                    self._log.warning("record.unreadable", error=str(error))
            if len(rows) < ENTRIES_A_READ:
                return

    def oldest(self, events: int) -> list[RecordEntry]:
        """Return the oldest entries that were read and not taken, about so many events."""
        found: list[RecordEntry] = []
        for entry in self._waiting:
            events -= weight(entry)
            if found and events < 0:
                break
            found.append(entry)
        return found

    def take(self, entries: Sequence[RecordEntry]) -> None:
        """Take those entries, which are the oldest: the store holds them."""
        for _ in entries:
            self._waiting.popleft()

    def last_id(self) -> str | None:
        """Id of the newest entry; None if there is none."""
        rows: Any = self._redis.xrevrange(keys.RECORD, count=1)
        return text(rows[0][0]) if rows else None

    def up_to(self, position: str, start: str) -> list[RecordEntry]:
        """Read entries from ``start`` to ``position``, at most ``ENTRIES_A_READ``."""
        rows: Any = self._redis.xrange(keys.RECORD, start, position, count=ENTRIES_A_READ)
        return [RecordEntry.decode(entry_id, fields) for entry_id, fields in rows]

    def calls(self, arrived: Sequence[str], ended: Sequence[str]) -> dict[str, bytes]:
        """Read the data of jobs: of all that arrived, and of those that ended whose arrival is not in the stream."""
        found: dict[str, bytes] = {}
        for is_arrival, ids in ((True, arrived), (False, ended)):
            for start in range(0, len(ids), IDS_A_CALL):
                some = ids[start : start + IDS_A_CALL]
                args: list[Any] = [keys.JOB_PREFIX, keys.RECORDED, len(some) if is_arrival else 0, *some]
                replies: Any = self._read(args=args)
                found.update((one, data) for one, data in zip(some, replies, strict=True) if data)
        return found

    def release(self, release: Release, *, now: float) -> None:
        """Let finished jobs expire, note how far the record is, and trim the stream. May be repeated."""
        pairs = iter(release.finished)
        while True:
            some = list(islice(pairs, IDS_A_CALL))
            is_last = len(some) < IDS_A_CALL
            self._release_some(release if is_last else None, some, now)
            if is_last:
                return

    def _release_some(self, release: Release | None, finished: Sequence[tuple[str, str]], now: float) -> None:
        """Let go of some jobs; with ``release``, which comes with the last of them, of the entries as well."""
        fields: dict[str, str | int | float] = {}
        counters: dict[str, int] = {}
        late: Sequence[str] = ()
        if release is not None:
            fields[POSITION] = release.position
            if release.acknowledged is not None:
                fields[ACKNOWLEDGED] = release.acknowledged
            counters[RECORDED] = release.recorded
            if release.gap:
                fields[GAP_AT] = now
                counters |= {GAP_EVENTS: release.gap, GAP_RECENT: release.gap}
            late = release.late
        args: list[Any] = [release.position if release else START, now, RESULT_TTL_SECONDS]
        args += (keys.JOB_PREFIX, keys.finished(""), keys.results(""), keys.RECORDED)
        args += (len(fields), *_flat(fields), len(counters), *_flat(counters), len(late), *late)
        args += (part for pair in finished for part in pair)
        self._release(keys=[keys.RECORD, keys.RECORDER], args=args)

    def position(self) -> str:
        """Return the position of the store as Redis knows it."""
        found = self._redis.hget(keys.RECORDER, POSITION)
        return text(found) if found else START

    def recorded(self) -> int:
        """Return how many events were recorded in all."""
        return int(self._redis.hget(keys.RECORDER, RECORDED) or 0)

    def off_since(self) -> tuple[float, int] | None:
        """Return since when the record was off (Unix seconds), and how many events were acknowledged meanwhile."""
        off_at, then, counter = (
            *self._redis.hmget(keys.RECORDER, OFF_AT, ACKNOWLEDGED),
            self._redis.get(keys.ACKNOWLEDGED),
        )
        return None if off_at is None else (float(off_at), max(0, int(counter or 0) - int(then or 0)))

    def forget_off(self) -> None:
        """Note that the record is on, and that the time in which it was off is recorded as a gap."""
        self._redis.hdel(keys.RECORDER, OFF_AT)


def weight(entry: RecordEntry) -> int:
    """Count the rows that an entry brings, at least one."""
    return max(1, len(entry.arrived) + len(entry.repeated) + len(entry.outcomes))


def _flat(fields: Mapping[str, str | int | float]) -> list[str | int | float]:
    return [part for pair in fields.items() for part in pair]
