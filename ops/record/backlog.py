"""Read the newest entries of the record's stream: what was queued and ended, and is not in the record yet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Final

from redis import Redis

from ackfirst.ops.record.job_parts import job_text
from ackfirst.ops.record.live import pages
from ackfirst.shared.nexmo.identity import is_event_id
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.record import RecordedOutcome, RecordEntry
from ackfirst.shared.record import named_record
from ackfirst.shared.store.arrival import attempts_of
from ackfirst.shared.store.rows import Attempt, Request

#: Entries, outcomes and jobs that are read, the newest first. A recorder that works is behind by a few entries.
MOST_ENTRIES: Final = 2_000
MOST_OUTCOMES: Final = 100_000
MOST_JOBS: Final = 20_000
#: Entries of one round trip; one holds up to some hundred outcomes.
_PAGE: Final = 50


@named_record
class Unrecorded:
    """The part of a message's story that is in the stream, and not in the record yet."""

    event_ids: Sequence[str] = ()
    """Events of the message that the stream alone knows."""
    attempts: Sequence[Attempt] = ()
    requests: Sequence[Request] = ()
    is_cut: bool = False
    """Whether older entries were left unread."""


@named_record
class _Found:
    arrived: list[str] = field(default_factory=list, hash=False)
    outcomes: list[RecordedOutcome] = field(default_factory=list, hash=False)
    repeated: list[tuple[str, float]] = field(default_factory=list, hash=False)
    is_cut: bool = False


class Backlog:
    """Reads the stream; raises ``RedisError`` when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def entries(self, *, after: str) -> Iterator[RecordEntry]:
        """Read the entries behind a position, the newest first; one that cannot be read is left out."""
        end = "+"
        while True:
            rows: Any = self._redis.xrevrange(keys.RECORD, end, f"({after}", count=_PAGE)
            for entry_id, fields in rows:
                if (entry := _entry(entry_id, fields)) is not None:
                    yield entry
            if len(rows) < _PAGE:
                return
            end = f"({rows[-1][0].decode()}"

    def lag(self, *, after: str, now: float) -> float:
        """Return how many seconds the oldest entry behind a position has waited for the recorder; 0 if none waits."""
        rows: Any = self._redis.xrange(keys.RECORD, f"({after}", "+", count=1)
        return max(0.0, now - int(rows[0][0].partition(b"-")[0]) / 1000) if rows else 0.0

    def read(self, key: str, event_ids: Sequence[str], *, after: str) -> Unrecorded:
        """Read what it says of some events, and of those that have this message id or ``client_ref``."""
        found = self._walk(frozenset(event_ids), after)
        others = [] if is_event_id(key) else list(self._events_of(key, found.arrived))
        if others:  # their outcomes were passed over
            found = self._walk(frozenset([*event_ids, *others]), after)
        return Unrecorded(
            event_ids=others,
            attempts=[attempt for outcome in found.outcomes for attempt in attempts_of(outcome)],
            requests=[Request(at=at, kind="duplicate", event_id=one) for one, at in found.repeated],
            is_cut=found.is_cut,
        )

    def _walk(self, wanted: frozenset[str], after: str) -> _Found:
        arrived: list[str] = []
        outcomes: list[RecordedOutcome] = []
        repeated: list[tuple[str, float]] = []
        read = 0
        for number, entry in enumerate(self.entries(after=after)):
            if number >= MOST_ENTRIES or read >= MOST_OUTCOMES:
                return _Found(arrived=arrived, outcomes=outcomes, repeated=repeated, is_cut=True)
            read += len(entry.outcomes)
            if len(arrived) < MOST_JOBS:
                arrived += entry.arrived
            outcomes += (outcome for outcome in entry.outcomes if outcome.event_id in wanted)
            repeated += ((one, entry.at) for one in entry.repeated if one in wanted)
        return _Found(arrived=arrived, outcomes=outcomes, repeated=repeated)

    def _events_of(self, key: str, arrived: Sequence[str]) -> Iterator[str]:
        """Find the events whose job has the key in its text: a message id or ``client_ref`` stands there as it is."""
        text = key.encode(errors="surrogatepass")
        for page in pages(arrived):
            with self._redis.pipeline(transaction=False) as pipeline:
                for one in page:
                    pipeline.hget(keys.job(one), "data")
                for one, data in zip(page, pipeline.execute(raise_on_error=False), strict=True):
                    if isinstance(data, bytes) and text in job_text(data):
                        yield one


def _entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> RecordEntry | None:
    try:
        return RecordEntry.decode(entry_id, fields)
    except ValueError:
        return None
