"""Drive one replay: a few events at a time, whenever live traffic leaves room."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.replay.endings import ReplayEndings, read_endings
from ackfirst.shared.replay.mover import Move, Mover, read_progress
from ackfirst.shared.replay.selection import Selection
from ackfirst.shared.store import Replay, Store
from ackfirst.workers.replay.events import moves_of, read_page
from ackfirst.workers.replay.pace import ReplayPace
from ackfirst.workers.replay.traffic import LiveTraffic

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Events that are read from the store at once.
PAGE_EVENTS: Final = 100
#: Bytes of jobs that one script call may carry: Redis serves no other client meanwhile.
CALL_BYTES: Final = 1_000_000
#: Failures among the newest passes at which a replay pauses itself.
MOST_FAILURES: Final = 20
#: Seconds between two copies of the progress to the store.
COPY_SECONDS: Final = 1.0

#: Reason why events were passed over → how it is shown.
REASONS: Final[Mapping[str, str]] = {
    "under_way": "wait, run or are retried already",
    "ended_since": "have ended since the replay was created",
    "redacted": "had their personal data removed",
    "no_body": "have no recorded body",
    "gone": "are gone",
    "foreign": "have another program's key in their place",
}


@dataclass(frozen=True, slots=True)
class Places:
    """The places that a replay reads from and writes to."""

    redis: Redis
    store: Store
    mover: Mover
    traffic: LiveTraffic
    log: "FilteringBoundLogger"
    clock: Callable[[], float] = time.monotonic
    """Monotonic seconds."""


class ReplayDrive:
    """Queues the events of a replay as long as it runs.

    ``since`` is the Unix time at which this process has seen that it runs: earlier failures were dealt with by the
    operator who resumed it.
    """

    def __init__(self, places: Places, *, since: float) -> None:
        self._places = places
        self._since = since
        self._pace = ReplayPace(since)
        self._is_recorded = False
        self._lanes: set[str] = set()
        self._copied: dict[str, Any] = {}
        self._copied_at = float("-inf")

    def go_on(self, replay: Replay, now: float, deadline: float) -> None:
        """Queue what may be queued now (Unix seconds), until about ``deadline`` (monotonic)."""
        endings = read_endings(self._places.redis, replay.id)
        failures = _failures(endings, since=self._since)
        if failures.total() >= MOST_FAILURES:
            (failure, number), *_ = failures.most_common(1)
            note = f"{failures.total()} of the last {len(endings.newest)} passes failed: {failure} ({number})"
            self.pause(replay, f"paused itself: {note}", now)
            return
        note = self._obstacle(replay)
        if not note:
            traffic = self._places.traffic.look(self._lanes, now=now)
            self._lanes = set(traffic.lanes)
            note = traffic.obstacle
            allowed = self._pace.allow(now, rate=replay.rate, waiting=traffic.waiting, passes=endings.passes)
            if not note and allowed and self._queue(replay, allowed, now, deadline):
                self._finish(replay, now)
                return
        if self._places.clock() - self._copied_at >= COPY_SECONDS:
            self._copied_at = self._places.clock()
            progress = self._progress(replay, endings)
            if progress | {"note": note} != self._copied:
                self._update(replay, now, **progress, note=note)
                self._copied = progress | {"note": note}

    def pause(self, replay: Replay, note: str, now: float) -> None:
        """Pause the replay by itself, and say why."""
        progress = self._progress(replay, read_endings(self._places.redis, replay.id))
        self._update(replay, now, state="paused", note=note, **progress)
        self._since = now
        self._places.log.warning("replay.paused", replay=replay.id, name=replay.name, note=note)

    def _obstacle(self, replay: Replay) -> str:
        """Say why the replay cannot begin: events that were there before it must be in the record first."""
        if not self._is_recorded:
            newest: Any = self._places.redis.xrevrange(keys.RECORD, count=1)
            position = _number(self._places.store.position())
            is_read = not newest or _number(newest[0][0].decode()) <= position
            self._is_recorded = is_read or position[0] / 1000 >= replay.created_at
        return "" if self._is_recorded else "the record is behind: events from before the replay are missing in it"

    def _queue(self, replay: Replay, allowed: int, now: float, deadline: float) -> bool:
        """Queue up to ``allowed`` events; whether there are no more."""
        store, mover = self._places.store, self._places.mover
        selection = Selection.decode(replay.filter)
        cursor = read_progress(self._places.redis, replay.id).cursor
        while allowed > 0:
            page = read_page(store, selection, cursor, min(allowed, PAGE_EVENTS))
            if not page:
                return True
            for moves in _calls(moves_of(store, replay, page)):
                moved = mover.move(replay.id, cursor, moves, created_at=replay.created_at, now=now)
                cursor = moved.cursor
                self._lanes |= {one.lane for one in moves if not one.passed_over}
                self._pace.spend(moved.moved)
                allowed -= moved.moved
            if self._places.clock() >= deadline:
                break
        return False

    def _progress(self, replay: Replay, endings: ReplayEndings) -> dict[str, Any]:
        progress = read_progress(self._places.redis, replay.id)
        skipped = sum(progress.passed_over.values())
        return {"moved": progress.moved, "skipped": skipped, "died": endings.died, "cursor": progress.cursor}

    def _finish(self, replay: Replay, now: float) -> None:
        progress = self._progress(replay, read_endings(self._places.redis, replay.id))
        passed_over = read_progress(self._places.redis, replay.id).passed_over
        reasons = [f"{count:,} {REASONS.get(name, name)}" for name, count in sorted(passed_over.items()) if count]
        note = f"passed over: {', '.join(reasons)}" if reasons else ""
        self._update(replay, now, state="done", note=note, **progress)
        self._places.log.info("replay.done", replay=replay.id, name=replay.name, moved=progress["moved"], note=note)

    def _update(self, replay: Replay, now: float, **changes: Any) -> None:
        if "state" in changes:
            known = self._places.store.replay(replay.id)
            if known is None or known.state != "running":  # an operator has just stopped or paused it
                del changes["state"]
        self._places.store.replay_update(replay.id, updated_at=now, **changes)


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
