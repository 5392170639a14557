"""Start, steer and look at replays. Nothing here prints: the commands and the page call it."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson
from redis import Redis
from redis.exceptions import RedisError

from ackfirst.ops.record.replay_plan import Plan, ReplayError
from ackfirst.shared.record import named_record
from ackfirst.shared.replay.endings import ReplayEndings, read_deaths, read_endings
from ackfirst.shared.replay.mover import read_progress
from ackfirst.shared.store import AuditRow, Replay, Store

#: State → states in which a replay may be put into it.
_STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "paused": ("running",),
    "running": ("paused",),
    "stopped": ("running", "paused"),
}
_ACTS: Final = {"paused": "paused", "running": "resumed", "stopped": "stopped"}


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
    clock: Any = redis.time()  # the clock by which workers write when an event ends
    now = clock[0] + clock[1] / 1e6
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
    _audit(store, who, "started", replay_id, orjson.dumps(detail).decode())
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
    _audit(store, who, "rate-changed", replay.id, f"{replay.rate:g} to {rate:g} a second")
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


def newest(store: Store, redis: Redis, limit: int) -> list[Replay]:
    """List replays, newest first, with the events of each that are dead letters again by now.

    The record's own copy of that number is as old as the end of the replay; it is what is shown while Redis is away.

    Raises:
        StoreUnavailableError: The record does not answer.
    """
    found = store.replays(limit)
    try:
        deaths = read_deaths(redis, [replay.id for replay in found]) if found else []
    except RedisError:
        return found
    return [replace(replay, died=max(died, replay.died)) for replay, died in zip(found, deaths, strict=True)]


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


def _known(store: Store, replay_id: str) -> Replay:
    replay = store.replay(replay_id)
    if replay is None:
        raise ReplayError(f"there is no replay {replay_id!r}: ackfirst replay list shows them")
    return replay


def _steer(store: Store, replay_id: str, state: str, who: str) -> Replay:
    replay = _known(store, replay_id)
    if replay.state not in _STEPS[state]:
        raise ReplayError(f"replay {replay_id} is {replay.state}: only one that is {' or '.join(_STEPS[state])} can be")
    store.replay_update(replay_id, state=state, note=f"{_ACTS[state]} by {who}", updated_at=time.time())
    _audit(store, who, _ACTS[state], replay_id, f"{replay.moved:,} of {replay.total:,} moved")
    return _known(store, replay_id)


def _audit(store: Store, who: str, act: str, replay_id: str, detail: str) -> None:
    store.audit(AuditRow(time.time(), who, f"replay-{act}", replay_id, detail))
