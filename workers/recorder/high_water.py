"""Keep the record from filling Redis while the store is away: above the high water, the oldest entries go."""

from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.record import GAP_AT, GAP_RECENT, POSITION
from ackfirst.workers.recorder.stream import START
from ackfirst.workers.replies import text
from ackfirst.workers.scripts import script

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Share of Redis's ``maxmemory`` above which unrecorded events go. Ingest writes to its disk above 0.8: the record
#: gives way before that.
HIGH_MEMORY_SHARE: Final = 0.7
#: Events that may wait for the store: about 1.7 GB of jobs that have finished.
HIGH_EVENTS: Final = 1_000_000
#: Seconds that the oldest entry must have waited. A recorder that is only busy is not this late, and a Redis that is
#: full of waiting events would gain nothing.
PATIENCE_SECONDS: Final = 30.0
#: Entries of one call, and calls of one look: at most half a second of the server's time, in pieces of a few ms.
ENTRIES_A_CALL: Final = 50
CALLS_A_LOOK: Final = 100
#: Seconds after the last gap for which its events are shown as recent.
RECENT_SECONDS: Final = 86_400

REASON: Final = "the store was away too long: let go so that the queue keeps its memory"


class HighWater:
    """Looks at the backlog and at Redis's memory, and drops what is too much. For one process at a time.

    Args:
        redis: Where the stream is.
        log: Takes ``record.gap``.
        memory_share: Share of ``maxmemory``.
        events: Most events that wait.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        log: "FilteringBoundLogger",
        memory_share: float = HIGH_MEMORY_SHARE,
        events: int = HIGH_EVENTS,
    ) -> None:
        self._redis = redis
        self._log = log
        self._memory_share = memory_share
        self._events = events
        self._drop = script(redis, "record_drop")

    def look(self, now: float) -> int:
        """Drop what is too much at ``now`` (Unix seconds); return how many events the record will miss."""
        missed, first, last = 0, 0.0, 0.0
        for _ in range(CALLS_A_LOOK):
            position, oldest, counter = self._oldest()
            if oldest is None or now - oldest < PATIENCE_SECONDS or not (cause := self._cause(counter)):
                break
            entries, events, first_at, last_at = self._drop(
                keys=[keys.RECORD, keys.RECORDER],
                args=[
                    *(position, ENTRIES_A_CALL, now, keys.JOB_PREFIX, keys.finished(""), keys.results("")),
                    *(keys.RECORDED, keys.LANE_PREFIX, REASON),
                ],
            )
            if not entries:
                break
            missed, first, last = missed + events, first or float(first_at), float(last_at)
        if missed:
            self._log.error("record.gap", events=missed, since=first, until=last, cause=cause, check="the store")
        else:
            self._forget_old_gap(now)
        return missed

    def _oldest(self) -> tuple[str, float | None, int | None]:
        """Look at the oldest entry that is not recorded.

        Returns:
            The store's position; Unix seconds of the entry, None if there is none; the counter of acknowledged events
            at that time, None if no entry near it says so.
        """
        found = self._redis.hget(keys.RECORDER, POSITION)
        position = text(found) if found else START
        rows: Any = self._redis.xrange(keys.RECORD, f"({position}", "+", count=ENTRIES_A_CALL)
        if not rows:
            return position, None, None
        counter = next((int(fields[b"n"]) for _, fields in rows if fields.get(b"n", b"").isdigit()), None)
        return position, int(rows[0][0].partition(b"-")[0]) / 1000, counter

    def _cause(self, oldest: int | None) -> str:
        """Say what is over its limit; empty if nothing is."""
        memory: Any = self._redis.info("memory")
        limit = int(memory.get("maxmemory") or 0)
        if limit and memory["used_memory"] > self._memory_share * limit:
            return f"Redis uses {memory['used_memory']} of {limit} bytes"
        waiting = 0 if oldest is None else int(self._redis.get(keys.ACKNOWLEDGED) or 0) - oldest
        return f"{waiting} events wait for the store" if waiting > self._events else ""

    def _forget_old_gap(self, now: float) -> None:
        at, recent = self._redis.hmget(keys.RECORDER, GAP_AT, GAP_RECENT)
        if at and recent != b"0" and now - float(at) > RECENT_SECONDS:
            self._redis.hset(keys.RECORDER, GAP_RECENT, 0)
