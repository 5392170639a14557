"""Drive replays: a few events at a time, whenever live traffic leaves room.

The cursor of a replay is in Redis, where one script moves it together with the events that it queues; the store has the
definition, and a copy of the progress for those who look. A runner that is killed at any moment is replaced by one that
reads the cursor.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import JobOptions
from ackfirst.shared.replay.endings import NEWEST, ReplayEndings, read_endings
from ackfirst.shared.replay.mover import CursorMovedError, Move, Moved, Mover, Progress, read_progress
from ackfirst.shared.replay.selection import Selection
from ackfirst.shared.store import Replay, Store, StoreUnavailableError
from ackfirst.workers.replay.events import moves_of, read_page
from ackfirst.workers.replay.pace import ReplayPace
from ackfirst.workers.replay.traffic import LiveTraffic
from ackfirst.workers.unavailable import LOG_INTERVAL_SECONDS, OUTAGES

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Events that are read from the store at once, and the bytes of their jobs that one script call may carry: Redis serves
#: no other client meanwhile.
PAGE_EVENTS: Final = 100
CALL_BYTES: Final = 1_000_000
#: Seconds that one step may take: the recorder has other work.
STEP_SECONDS: Final = 0.1
#: Failures among the newest ``NEWEST`` passes at which a replay pauses itself.
MOST_FAILURES: Final = 20
#: Seconds between two copies of the progress to the store.
COPY_SECONDS: Final = 1.0
#: Seconds for which Redis keeps the cursor of a replay that has ended.
KEPT_SECONDS: Final = 7 * 86_400
#: Replays that are looked at: the newest.
LISTED: Final = 100

#: Reason why an event was passed over → how it is shown.
REASONS: Final = {
    "under_way": "wait, run or are retried already",
    "ended_since": "have ended since the replay was created",
    "redacted": "had their personal data removed",
    "no_body": "have no recorded body",
    "gone": "are gone",
    "foreign": "have another program's key in their place",
}


@dataclass(slots=True)
class _Drive:
    """A replay that runs, as this process knows it."""

    since: float
    """Unix seconds at which this process has seen it run; older failures were dealt with by whoever resumed it."""
    pace: ReplayPace
    is_recorded: bool = False
    """Whether the record has everything that happened before the replay was created."""
    lanes: set[str] = field(default_factory=set)
    """The lanes of the events that it has queued last."""
    copied: tuple[object, ...] = ()
    copied_at: float = float("-inf")
    """Monotonic seconds."""


class ReplayRunner:
    """Drives all replays that run. ``step`` is for one thread of one process at a time; ``clock`` is monotonic."""

    def __init__(
        self,
        redis: Redis,
        store: Store,
        options: JobOptions,
        *,
        log: "FilteringBoundLogger",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._store = store
        self._mover = Mover(redis, options)
        self._traffic = LiveTraffic(redis, clock=clock)
        self._log = log
        self._clock = clock
        self._drives: dict[str, _Drive] = {}
        self._next_line = float("-inf")

    def step(self, now: float) -> None:
        """Queue what may be queued now, of each replay that runs; ``now`` in Unix seconds.

        Takes about ``STEP_SECONDS`` at most. An outage of Redis or the store ends the step, and the next one goes on.
        """
        try:
            replays = [one for one in self._store.replays(LISTED) if one.state == "running"]
            self._drives = {one.id: self._drives.get(one.id) or _Drive(now, ReplayPace(now)) for one in replays}
            deadline = self._clock() + STEP_SECONDS
            for replay in reversed(replays):
                self._try(replay, now, deadline)
        except (StoreUnavailableError, *OUTAGES) as error:
            if self._clock() >= self._next_line:
                self._next_line = self._clock() + LOG_INTERVAL_SECONDS
                self._log.warning("replay.waits", error=f"{type(error).__name__}: {error}")

    def _try(self, replay: Replay, now: float, deadline: float) -> None:
        """Drive one replay; what it cannot cope with pauses it, and holds up neither the others nor the recorder."""
        try:
            self._drive(replay, self._drives[replay.id], now, deadline)
        except (StoreUnavailableError, *OUTAGES):
            raise
        except CursorMovedError as error:  # this process was frozen, and another one has taken its place
            self._log.info("replay.moved-by-another", replay=replay.id, detail=str(error))
        except Exception as error:
            self._log.exception("replay.failed", replay=replay.id)
            self._pause(replay, f"cannot go on: {type(error).__name__}: {error}", now)

    def _drive(self, replay: Replay, drive: _Drive, now: float, deadline: float) -> None:
        progress = read_progress(self._redis, replay.id)
        endings = read_endings(self._redis, replay.id)
        failures = _failures(endings, since=drive.since)
        if failures.total() >= MOST_FAILURES:
            (failure, number), *_ = failures.most_common(1)
            note = f"{failures.total()} of the last {len(endings.newest)} passes failed: {failure} ({number})"
            self._copy(replay, drive, progress, endings, "", now)
            self._pause(replay, f"paused itself: {note}", now)
            return
        note = self._obstacle(replay, drive)
        if not note:
            traffic = self._traffic.look(drive.lanes, now=now)
            drive.lanes = set(traffic.lanes)
            note = traffic.obstacle
            allowed = drive.pace.allow(now, rate=replay.rate, waiting=traffic.waiting, passes=endings.passes)
            if allowed and not note and self._go_on(replay, drive, progress.cursor, allowed, now, deadline):
                self._finish(replay, endings, now)
                return
        if self._clock() - drive.copied_at >= COPY_SECONDS:
            self._copy(replay, drive, read_progress(self._redis, replay.id), endings, note, now)

    def _obstacle(self, replay: Replay, drive: _Drive) -> str:
        """Say why the replay cannot begin: events that were there before it must be in the record first."""
        if not drive.is_recorded:
            newest = self._redis.xrevrange(keys.RECORD, count=1)
            position = _number(self._store.position())
            is_read = not newest or _number(newest[0][0].decode()) <= position
            drive.is_recorded = is_read or position[0] / 1000 >= replay.created_at
        return "" if drive.is_recorded else "the record is behind: events from before the replay are missing in it"

    def _go_on(
        self, replay: Replay, drive: _Drive, cursor: str, allowed: int, now: float, deadline: float
    ) -> bool:
        """Queue up to ``allowed`` events behind ``cursor``; whether there are no more."""
        selection = Selection.decode(replay.filter)
        while allowed > 0:
            page = read_page(self._store, selection, cursor, min(allowed, PAGE_EVENTS))
            if not page:
                return True
            for moves in _calls(moves_of(self._store, replay, page)):
                moved = self._mover.move(replay.id, cursor, moves, created_at=replay.created_at, now=now)
                cursor = moved.cursor
                drive.lanes |= {one.lane for one in moves if not one.passed_over}
                drive.pace.spend(moved.moved)
                allowed -= moved.moved
            if self._clock() >= deadline:
                break
        return False

    def _copy(
        self, replay: Replay, drive: _Drive, progress: Progress, endings: ReplayEndings, note: str, now: float
    ) -> None:
        """Copy the progress to the store, if it has changed."""
        skipped = sum(progress.passed_over.values())
        values = (progress.moved, skipped, endings.died, progress.cursor, note)
        drive.copied_at = self._clock()
        if values != drive.copied:
            moved, skipped, died, cursor, note = values
            self._store.replay_update(
                replay.id, moved=moved, skipped=skipped, died=died, cursor=cursor, note=note, updated_at=now
            )
            drive.copied = values

    def _pause(self, replay: Replay, note: str, now: float) -> None:
        self._store.replay_update(replay.id, state="paused", note=note, updated_at=now)
        self._log.warning("replay.paused", replay=replay.id, name=replay.name, note=note)

    def _finish(self, replay: Replay, endings: ReplayEndings, now: float) -> None:
        progress = read_progress(self._redis, replay.id)
        reasons = [f"{count:,} {REASONS.get(name, name)}" for name, count in progress.passed_over.items() if count]
        note = f"passed over: {', '.join(reasons)}" if reasons else ""
        self._store.replay_update(
            replay.id,
            state="done",
            moved=progress.moved,
            skipped=sum(progress.passed_over.values()),
            died=endings.died,
            cursor=progress.cursor,
            note=note,
            updated_at=now,
        )
        # Not before the store says so: without its cursor a replay that runs begins again.
        self._redis.expire(keys.replay(replay.id), KEPT_SECONDS)
        self._log.info("replay.done", replay=replay.id, name=replay.name, moved=progress.moved, note=note or None)


def _failures(endings: ReplayEndings, *, since: float) -> Counter[str]:
    return Counter(failure for at, failure in endings.newest if failure and at >= since)


def _calls(moves: Sequence[Move]) -> Iterator[list[Move]]:
    """Divide a page into script calls of bounded size."""
    call: list[Move] = []
    size = 0
    for move in moves:
        if call and size + len(move.data) > CALL_BYTES:
            yield call
            call, size = [], 0
        call.append(move)
        size += len(move.data)
    if call:
        yield call


def _number(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)
