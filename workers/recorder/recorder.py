"""Record what happened, round after round, through every outage of Redis and of the store."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from redis.exceptions import RedisError

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.queue.record import RecordEntry
from ackfirst.shared.store import Gap, StaleBatchError, Store
from ackfirst.shared.store.retention import wait_between_deletes
from ackfirst.workers.lease import Lease
from ackfirst.workers.periodic_task import PeriodicTask
from ackfirst.workers.recorder.high_water import HighWater
from ackfirst.workers.recorder.rows import JOB_GONE, arrivals_of, batch_of, ended_of, finished_of
from ackfirst.workers.recorder.store_connection import StoreConnection
from ackfirst.workers.recorder.stream import START, RecordStream, Release
from ackfirst.workers.recovery.redis_clock import RedisClock
from ackfirst.workers.unavailable import Retry

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Events of one batch, and the longest time that one waits for company: few large transactions, and still soon enough
#: for an operator who looks.
EVENTS_A_BATCH: Final = 500
BATCH_SECONDS: Final = 0.2
#: Pause of a round without the lease, or while the store is away.
IDLE_SECONDS: Final = 0.5
#: Time between two looks at how full Redis is, and at whether the stream or the store have lost their newest.
HIGH_WATER_SECONDS: Final = 2.0
CHECK_SECONDS: Final = 5.0
#: Time between two purges, and between two checks of the partitions.
UPKEEP_SECONDS: Final = 3600.0
#: Time between two steps of the replays.
REPLAY_SECONDS: Final = 0.2

REASON_OFF: Final = "the record was off"
REASON_OTHER_STORE: Final = "the store is new, was emptied or was restored: what was recorded before is not in it"


class Stepper(Protocol):
    """Does a part of its work at each call."""

    def step(self, now: float) -> None:
        """Do what is due at ``now`` (Unix seconds), for a moment."""


class Recorder:
    """Moves the stream into the store.

    What is written, in order: the batch and its position in one transaction of the store; then Redis lets go of the
    finished jobs and of the entries. Killed anywhere, the next recorder begins at the store's position, and lets go
    once more of what is left behind it.

    Args:
        stream: The stream.
        lease: Of all recorders, one works.
        open_store: Opens the store, and brings its tables up to date.
        high_water: Keeps the backlog from filling Redis.
        replays: Makes what moves replays along, for a store that was opened.
        keep: Seconds after which the store drops an event.
        clock: Redis's clock.
        retry: Repeats a round through an outage of Redis.
        log: A structlog logger.
    """

    def __init__(
        self,
        stream: RecordStream,
        lease: Lease,
        open_store: Callable[[], Store],
        *,
        high_water: HighWater,
        replays: Callable[[Store], Stepper] | None,
        keep: float,
        clock: RedisClock,
        retry: Retry,
        log: "FilteringBoundLogger",
    ) -> None:
        self._stream = stream
        self._lease = lease
        self._connection = StoreConnection(open_store, log=log)
        self._replays_of = replays
        self._keep = keep
        self._clock = clock
        self._retry = retry
        self._log = log
        self._high_water = PeriodicTask(high_water.look, seconds=HIGH_WATER_SECONDS)
        self._stop_requested = False
        self._store: Store | None = None
        self._position = START
        self._pending: Release | None = None
        self._written = float("-inf")
        self._tasks: Sequence[PeriodicTask] = ()

    def stop(self) -> None:
        """End after this round; may be called by a signal handler."""
        self._stop_requested = True

    def run(self) -> None:
        """Work until ``stop``, then give the lease back."""
        try:
            while not self._stop_requested:
                self._retry(self.round)
        finally:
            self._connection.close()
            with contextlib.suppress(RedisError):  # without Redis the lease simply runs out
                self._lease.release()

    def round(self) -> None:
        """With the lease, record one batch and do what else is due."""
        if self._stop_requested:
            return
        if not self._lease.hold():
            self._leave()
            time.sleep(IDLE_SECONDS)
            return
        self._clock.calibrate()
        self._high_water(self._clock.now())
        try:
            if self._store is None and not self._enter():
                time.sleep(IDLE_SECONDS)
                return
            self.record()
            for task in self._tasks:
                task(self._clock.now())
        except StaleBatchError:  # another recorder had the lease while this process was stopped
            self._leave()
        except ConfigurationError as error:  # it does not answer, or its tables have been changed by a newer version
            self._connection.failed(error)
            self._leave()

    def record(self) -> None:
        """Record one batch, as soon as it is large enough or has waited long enough."""
        store = self._store
        if store is None:
            return
        if self._pending is not None:
            self._let_go(self._pending)
        self._stream.fetch(EVENTS_A_BATCH, wait=BATCH_SECONDS)
        rest = self._written + BATCH_SECONDS - time.monotonic()
        if 0 < self._stream.events < EVENTS_A_BATCH and rest > 0:
            time.sleep(rest)
            self._stream.fetch(EVENTS_A_BATCH)
        entries = self._stream.oldest(EVENTS_A_BATCH)
        if entries:
            self._write(store, entries)

    def _write(self, store: Store, entries: Sequence[RecordEntry]) -> None:
        arrived = arrivals_of(entries)
        calls = self._stream.calls(arrived, ended_of(entries, arrived))
        try:
            batch, release = batch_of(entries, calls, after=self._position)
        except Exception:  # noqa: BLE001 - whatever another program has written, it must not stop the record
            if len(entries) > 1:
                self._write(store, entries[:1])  # the others come with the next batches
                return
            self._log.exception("record.unreadable", entry=entries[0].id)
            batch, release = batch_of([RecordEntry(id=entries[0].id)], {}, after=self._position)
        store.write(batch)
        self._stream.take(entries)
        self._written = time.monotonic()
        self._position = batch.position
        self._pending = release
        self._connection.succeeded()
        if release.gap:
            self._log.error("record.gap", events=release.gap, until=entries[-1].at, cause=JOB_GONE)
        self._let_go(release)

    def _let_go(self, release: Release) -> None:
        self._stream.release(release, now=self._clock.now())
        self._pending = None

    # The store
    def _enter(self) -> bool:
        """Open the store if it is time to, and find the place to go on; return whether it is open."""
        store = self._connection.open()
        if store is None:
            return False
        self._position = store.position()
        self._note_what_is_missing(store)
        self._seek()
        self._store = store
        tasks = [
            PeriodicTask(lambda _now: self._check(store), seconds=CHECK_SECONDS),
            PeriodicTask(store.ensure_partitions, seconds=UPKEEP_SECONDS),
            PeriodicTask(lambda now: self._purge(store, now), seconds=UPKEEP_SECONDS),
        ]
        if self._replays_of is not None:
            tasks.append(PeriodicTask(self._replays_of(store).step, seconds=REPLAY_SECONDS))
        self._tasks = tasks
        return True

    def _leave(self) -> None:
        self._connection.close()
        self._store, self._pending, self._tasks = None, None, ()

    def _seek(self) -> None:
        """Read on behind the store's position, or from the start if Redis has gone back behind it.

        A Redis that was restored, or emptied while its clock was set back, writes entries that seem to be recorded.
        """
        if self._is_redis_behind():
            self._log.warning("record.redis-went-back", position=self._position)
            self._stream.seek(START)
        else:
            self._let_go_again()
            self._stream.seek(self._position)

    def _is_redis_behind(self) -> bool:
        newest = self._stream.last_id()
        return newest is not None and number_of(newest) < number_of(self._position)

    def _check(self, store: Store) -> None:
        """Look whether Redis has gone back, or the store: both can be restored from a backup while we run."""
        position = store.position()
        if position != self._position:
            self._log.warning("record.store-went-back", position=position, expected=self._position)
            self._leave()
        elif self._is_redis_behind():
            self._seek()

    def _let_go_again(self) -> None:
        """Let go of what a recorder that was killed had written and not released."""
        start = "-"
        while entries := self._stream.up_to(self._position, start):
            release = Release(position=entries[-1].id, finished=finished_of(entries))
            self._stream.release(release, now=self._clock.now())
            start = f"({entries[-1].id}"

    def _note_what_is_missing(self, store: Store) -> None:
        """Note what the store misses: events of a time without the record, and what another or older store held."""
        before = self._stream.position()
        if number_of(self._position) < number_of(before):
            until = number_of(before)[0] / 1000
            since = max(number_of(self._position)[0] / 1000, until - self._keep)
            store.note_gap(Gap(since, until, self._stream.recorded(), REASON_OTHER_STORE))
            self._log.error("record.store-went-back", position=self._position, expected=before)
            self._stream.release(Release(position=self._position), now=self._clock.now())
        off = self._stream.off_since()
        if off is not None:
            since, events = off
            if events:
                store.note_gap(Gap(since, self._clock.now(), events, REASON_OFF))
            self._stream.forget_off()

    def _purge(self, store: Store, now: float) -> None:
        removed = store.purge(now - self._keep, pause=self._between_deletes)
        if removed:
            self._log.info("record.purged", events=removed)

    def _between_deletes(self) -> None:
        self._lease.hold()
        self.record()
        wait_between_deletes()


def number_of(position: str) -> tuple[int, int]:
    """Return milliseconds and number of an entry's id, which compare as the ids do."""
    milliseconds, _, number = position.partition("-")
    return int(milliseconds), int(number or 0)
