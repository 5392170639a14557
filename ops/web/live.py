"""Keep the state of the queue for two seconds, so that ten open pages ask Redis as often as one does."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask, current_app

from ackfirst.ops.lanes import Lane, lanes_of
from ackfirst.ops.web.ingest_figures import IngestFigures, read_ingest
from ackfirst.ops.web.sources import Sources
from ackfirst.shared.errors import StoreUnavailableError
from ackfirst.shared.findings import Finding, RecordState, SystemState, judge
from ackfirst.shared.findings.judge import errors_first, record_state
from ackfirst.shared.queue.snapshot import QueueSnapshot, take_snapshot

MAX_AGE_SECONDS: Final = 2.0
#: How many times longer than it took a state is used: ten thousand lanes take at most a tenth of Redis's time.
REST: Final = 10
_DAY_SECONDS: Final = 86_400

_EXTENSION: Final = "ackfirst.live"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveState:
    """The state of Redis at one moment."""

    at: float
    """Unix seconds."""
    queue: QueueSnapshot
    lanes: Sequence[Lane]
    ingest: IngestFigures
    record: RecordState | None
    """None while the record is off."""
    record_trouble: str | None
    """Why the record cannot be read; None while it can, or is off."""
    findings: Sequence[Finding]

    def total(self, name: str) -> int:
        """Add up a number of all lanes: ``waiting``, ``retries``, ``dead_letters``, ``running``."""
        return sum(getattr(lane, name) for lane in self.lanes)

    @property
    def dead_last_hour(self) -> int:
        """Dead letters of the last hour."""
        return sum(lane.dead_last_hour for lane in self.queue.lanes.values())

    @property
    def oldest_seconds(self) -> float:
        """Age of the event that waits longest, in any lane."""
        return max((lane.oldest_seconds for lane in self.lanes), default=0.0)


class Live:
    """The newest state; asked again when it is older than two seconds."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._lock = threading.Lock()
        self._state: LiveState | None = None
        self._seconds = 0.0

    def state(self) -> LiveState:
        """Return a state that is at most a few seconds old.

        Raises:
            RedisError: Redis does not answer.
        """
        with self._lock:
            now = self._sources.clock()
            if self._state is None or abs(now - self._state.at) > max(MAX_AGE_SECONDS, REST * self._seconds):
                self._state = None
                self._state = self._ask(now)
                self._seconds = self._sources.clock() - now
            return self._state

    def attach(self, app: Flask) -> None:
        """Let the views of ``app`` find it."""
        app.extensions[_EXTENSION] = self

    def forget(self) -> None:
        """Ask again the next time: something was changed here."""
        with self._lock:
            self._state = None

    def _ask(self, now: float) -> LiveState:
        found = self._sources
        found.redis.ping()  # at once, with the time-out of a page: the snapshot has several questions
        failure_ttl = found.settings.failure_ttl
        queue = found.run(lambda redis: take_snapshot(redis, now=now, failure_ttl=failure_ttl))
        ingest = read_ingest(found.redis)
        record, trouble = self._record(queue, now)
        judged = judge(
            SystemState(
                queue=queue,
                quarantine_max_records=_limit(ingest, "quarantine_max_records"),
                quarantine_max_bytes=_limit(ingest, "quarantine_max_bytes"),
                record=record,
            )
        )
        return LiveState(
            at=now,
            queue=queue,
            lanes=lanes_of(found.redis, queue),
            ingest=ingest,
            record=record,
            record_trouble=trouble,
            findings=errors_first([*judged, *ingest.findings]),
        )

    def _record(self, queue: QueueSnapshot, now: float) -> tuple[RecordState | None, str | None]:
        if not self._sources.record.is_on:
            return None, None
        try:
            gap_events = sum(gap.count for gap in self._sources.store.gaps(now - _DAY_SECONDS))
        except StoreUnavailableError as error:
            return record_state(queue), str(error)
        return record_state(queue, gap_events=gap_events), None


def live() -> Live:
    """Return the state keeper of the application that answers the current request."""
    found: Live = current_app.extensions[_EXTENSION]
    return found


def _limit(ingest: IngestFigures, name: str) -> Any:
    return int(ingest.gauges.get(name, 0)) or None
