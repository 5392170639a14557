"""Plan, start and steer replays. Nothing here prints: the commands and the page call it."""

import secrets
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from redis import Redis

from ackfirst.shared.errors import AckfirstError
from ackfirst.shared.queue import keys
from ackfirst.shared.record import named_record
from ackfirst.shared.replay.endings import ReplayEndings, read_endings
from ackfirst.shared.replay.mover import read_progress
from ackfirst.shared.replay.selection import MOST_NAMED, Selection
from ackfirst.shared.store import AuditRow, EventFilter, Replay, ReplayDay, Store

#: Events a second of a replay without ``--rate``. What has just recovered from an outage should not get more at once.
DEFAULT_RATE: Final = 200.0
#: Newest events of a selection that a plan looks at to say which handlers ran them.
SAMPLED: Final = 200
DAY_SECONDS: Final = 86_400

#: State → states in which a replay may be put into it.
_STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "paused": ("running",),
    "running": ("paused",),
    "stopped": ("running", "paused"),
}
_ACTS: Final = {"paused": "pause", "running": "resume", "stopped": "stop"}


class ReplayError(AckfirstError):
    """A replay cannot be started or steered this way; the message says why."""


@named_record
class HandlerRuns:
    """A handler that a replay would run."""

    handler: str
    """Empty for those that have not finished with events that died without a handler's doing."""
    events: int | None
    """How many events it would run; None where that is not known before."""
    is_known: bool = True
    """Whether it has ever run: a name that was mistyped has not."""


@named_record
class Plan:
    """The plan of a replay, resolved: it means the same events whenever it runs."""

    selection: Selection
    handlers: tuple[str, ...]
    """Only these; empty for those that died, and all that match of events that are not dead."""
    fresh: bool
    rate: float
    total: int
    days: Sequence[ReplayDay]
    runs: Sequence[HandlerRuns]
    unknown: Sequence[str] = ()
    """Ids that were named and are not in the record."""

    @property
    def seconds(self) -> float:
        """Return the seconds that it takes at the least."""
        return self.total / self.rate

    @property
    def oldest(self) -> float | None:
        """Return the Unix second at which its oldest event was received."""
        return min((day.oldest for day in self.days), default=None)

    @property
    def newest(self) -> float | None:
        """Return the Unix second at which its newest event was received."""
        return max((day.newest for day in self.days), default=None)

    @property
    def states(self) -> Mapping[str, int]:
        """State → how many of its events are in it now."""
        states: Counter[str] = Counter()
        for day in self.days:
            states[day.state] += day.count
        return states


def plan(
    store: Store,
    redis: Redis,
    selection: Selection,
    *,
    handlers: Sequence[str] = (),
    rate: float = DEFAULT_RATE,
    fresh: bool = False,
) -> Plan:
    """Resolve a selection and look at what a replay of it would do; changes nothing.

    Raises:
        ReplayError: It means every event that was ever recorded, or names too many.
        StoreUnavailableError: The record does not answer.
        RedisError: Redis does not answer.
    """
    selection = selection.until(time.time())
    unknown: list[str] = []
    if selection.events:
        if len(selection.events) > MOST_NAMED:
            raise ReplayError(f"at most {MOST_NAMED:,} events can be named: choose more by a filter")
        days, dead, unknown = _named(store, selection.events)
        selection = Selection(events=tuple(one for one in selection.events if one not in set(unknown)))
    else:
        _require_range(selection.filter)
        days = store.replay_plan(selection.filter)
        dead = store.replay_handlers(selection.filter)
    total = sum(day.count for day in days)
    known = {name.decode().removesuffix(":runs") for name in _answer(redis.hkeys(keys.HANDLER_TIMES))}
    if handlers:
        runs = [HandlerRuns(handler=name, events=total, is_known=name in known) for name in handlers]
    else:
        runs = [HandlerRuns(handler=name, events=count) for name, count in sorted(dead.items())]
        if any(day.state != "dead" for day in days):
            others = _handlers_of_newest(store, selection) - {run.handler for run in runs}
            runs += [HandlerRuns(handler=name, events=None) for name in sorted(others)]
    return Plan(
        selection=selection,
        handlers=tuple(handlers),
        fresh=fresh,
        rate=rate,
        total=total,
        days=days,
        runs=runs,
        unknown=unknown,
    )


def start(store: Store, redis: Redis, chosen: Plan, *, who: str, name: str = "", reason: str = "") -> Replay:
    """Start the replay of a plan. A worker's recorder drives it from now on.

    Raises:
        ReplayError: There is nothing to replay.
        StoreUnavailableError: The record does not take it.
        RedisError: Redis does not answer.
    """
    if not chosen.total:
        raise ReplayError("no event matches: there is nothing to replay")
    replay_id = f"r-{secrets.token_hex(4)}"
    seconds, microseconds = _answer(redis.time())  # the clock by which workers write when an event ends
    now = seconds + microseconds / 1e6
    replay = Replay(
        id=replay_id,
        name=name or replay_id,
        created_at=now,
        who=who,
        reason=reason,
        filter=chosen.selection.encode(),
        handlers=",".join(chosen.handlers),
        fresh=chosen.fresh,
        rate=chosen.rate,
        total=chosen.total,
        updated_at=now,
    )
    store.replay_new(replay)
    detail = {
        "events": chosen.total,
        "handlers": list(chosen.handlers),
        "fresh": chosen.fresh,
        "rate": chosen.rate,
        "reason": reason,
    }
    _audit(store, who, "start", replay_id, orjson.dumps(detail).decode())
    return replay


def pause(store: Store, replay_id: str, *, who: str) -> Replay:
    """Pause a replay that runs. What is queued already runs; within a second nothing more is.

    Raises:
        ReplayError: There is none of this id, or it does not run.
    """
    return _steer(store, replay_id, "paused", who)


def resume(store: Store, replay_id: str, *, who: str) -> Replay:
    """Let a paused replay go on where it was.

    Raises:
        ReplayError: There is none of this id, or it is not paused.
    """
    return _steer(store, replay_id, "running", who)


def stop(store: Store, replay_id: str, *, who: str) -> Replay:
    """End a replay for good. What is queued already runs.

    Raises:
        ReplayError: There is none of this id, or it has ended.
    """
    return _steer(store, replay_id, "stopped", who)


def change_rate(store: Store, replay_id: str, *, rate: float, who: str) -> Replay:
    """Change how many events a second a replay queues at the most.

    Raises:
        ReplayError: There is none of this id.
    """
    replay = _known(store, replay_id)
    store.replay_update(replay.id, rate=rate)
    _audit(store, who, "rate", replay.id, f"{replay.rate:g} to {rate:g} a second")
    return _known(store, replay_id)


@named_record
class ReplayState:
    """A replay, and what Redis knows of it: its counters there are never behind."""

    replay: Replay
    moved: int
    passed_over: Mapping[str, int]
    """Reason → how many events."""
    endings: ReplayEndings

    @property
    def skipped(self) -> int:
        """Count the events that were passed over."""
        return max(sum(self.passed_over.values()), self.replay.skipped)

    @property
    def died(self) -> int:
        """Count the events that are dead letters again."""
        return max(self.endings.died, self.replay.died)


def look(store: Store, redis: Redis, replay_id: str) -> ReplayState:
    """Look at one replay.

    Raises:
        ReplayError: There is none of this id.
        StoreUnavailableError: The record does not answer.
        RedisError: Redis does not answer.
    """
    replay = _known(store, replay_id)
    progress = read_progress(redis, replay_id)
    return ReplayState(
        replay=replay,
        moved=max(progress.moved, replay.moved),
        passed_over=progress.passed_over,
        endings=read_endings(redis, replay_id),
    )


def _require_range(chosen: EventFilter) -> None:
    """Refuse a filter that has no beginning: what it means would be a matter of how long the record goes back."""
    if chosen.since is None and chosen.died_since is None and chosen.state != "dead":
        raise ReplayError("say of which time: a replay without a beginning could mean every event")


def _named(store: Store, event_ids: Iterable[str]) -> tuple[list[ReplayDay], Mapping[str, int], list[str]]:
    """Count events by day, their dead handlers, and ids that are not in the record."""
    found, unknown = [], []
    for event_id in event_ids:
        rows = [row for row in store.message(event_id) if row.event_id == event_id]
        if rows:
            found.append(max(rows, key=lambda row: row.received_at))
        else:
            unknown.append(event_id)
    groups: dict[tuple[float, str, str], list[float]] = {}
    for row in found:
        kind = (row.received_at // DAY_SECONDS * DAY_SECONDS, row.family, row.state)
        groups.setdefault(kind, []).append(row.received_at)
    days = [
        ReplayDay(day=day, family=family, state=state, count=len(times), oldest=min(times), newest=max(times))
        for (day, family, state), times in sorted(groups.items())
    ]
    dead_ids = [row.event_id for row in found if row.state == "dead"]
    newest = {(one.event_id, one.handler): one.ending for one in store.attempts(dead_ids)} if dead_ids else {}
    dead = Counter(handler for (_, handler), ending in newest.items() if ending == "dead")
    blamed = {event_id for (event_id, _), ending in newest.items() if ending == "dead"}
    if without := len(set(dead_ids) - blamed):
        dead[""] = without
    return days, dead, unknown


def _handlers_of_newest(store: Store, selection: Selection) -> set[str]:
    """Return the handlers that have run the newest events of a selection: those that match will run again."""
    if selection.events:
        ids: Sequence[str] = selection.events[:SAMPLED]
    else:
        ids = [row.event_id for row in store.events(selection.filter, limit=SAMPLED)]
    return {attempt.handler for attempt in store.attempts(ids)}


def _known(store: Store, replay_id: str) -> Replay:
    replay = store.replay(replay_id)
    if replay is None:
        raise ReplayError(f"there is no replay {replay_id!r}: ackfirst replay list shows them")
    return replay


def _steer(store: Store, replay_id: str, state: str, who: str) -> Replay:
    replay = _known(store, replay_id)
    if replay.state not in _STEPS[state]:
        raise ReplayError(f"replay {replay_id} is {replay.state}: only one that is {' or '.join(_STEPS[state])} can be")
    note = f"{_ACTS[state]}d by {who}" if state != "stopped" else f"stopped by {who}"
    store.replay_update(replay_id, state=state, note=note, updated_at=time.time())
    _audit(store, who, _ACTS[state], replay_id, f"{replay.moved:,} of {replay.total:,} moved")
    return _known(store, replay_id)


def _audit(store: Store, who: str, act: str, replay_id: str, detail: str) -> None:
    store.audit(AuditRow(time.time(), who, f"replay {act}", replay_id, detail))


def _answer(reply: Any) -> Any:
    """Pass on a reply: redis-py types every one as possibly awaitable."""
    return reply
