"""Put the events of a replay back into their lanes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final

import orjson
from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import JobOptions, rq_time, shared_fields
from ackfirst.shared.queue.scripts import source
from ackfirst.shared.record import named_record, record
from ackfirst.shared.replay.job_field import JobReplay

_SCRIPT: Final = source("ackfirst.shared.replay", "replay.lua")

#: Seconds for which the marks of a replayed event are kept at the least: a job may wait so long in its lane.
MARKS_SECONDS: Final = 30 * 86_400
#: What the record calls a replay among the endings of an event's passes.
REPLAYED: Final = "replayed"


@named_record
class Move:
    """An event that is to run again, or is passed over."""

    event_id: str
    lane: str
    received_at: float
    """Unix seconds."""
    cursor: str = ""
    """Where the replay is once this event is done with."""
    replay: JobReplay
    data: bytes = b""
    """Of a new job; empty to take only a dead letter that RQ still has."""
    description: str = ""
    marks: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Handler → mark of handlers that are not to run."""
    passed_over: str = ""
    """Why it is not to run after all; empty to run it."""


@record
class Moved:
    """The result of one call."""

    cursor: str
    moved: int = 0
    passed_over: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Reason → how many: ``under_way`` (waits, runs or is retried), ``ended_since`` (the replay was created), ``gone``
    (no job, and no body to make one), ``foreign`` (another program's key), or the reason given."""


class CursorMovedError(Exception):
    """Another process has gone on with the replay."""


class Mover:
    """Queues events in one script call with the step of the cursor. Safe to repeat.

    ``options`` are those of new jobs.
    """

    def __init__(self, redis: Redis, options: JobOptions) -> None:
        self._redis = redis
        self._is_recorded = int(options.is_recorded)
        self._move = redis.register_script(_SCRIPT)
        pairs = shared_fields(options).items()
        self._shared: list[Any] = [len(pairs), *(part for pair in pairs for part in pair)]
        self._marks_seconds = max(options.failure_ttl, MARKS_SECONDS)

    def move(self, replay_id: str, cursor: str, moves: Iterable[Move], *, created_at: float, now: float) -> Moved:
        """Move events, if the replay's cursor is still ``cursor``.

        Args:
            replay_id: The replay.
            cursor: From where the events were read; empty for the beginning.
            moves: The events, in their order.
            created_at: Unix seconds at which the replay was created: what has ended since is passed over.
            now: Unix seconds.

        Raises:
            CursorMovedError: It is not.
            RedisError: Redis refused or did not answer; ``cursor`` in Redis says what was moved.
        """
        arguments = [
            *(cursor, rq_time(created_at), keys.job(""), keys.queue(""), keys.LANE_PREFIX),
            *(keys.failed(""), keys.finished(""), keys.marks(""), keys.REPLAY, keys.KILLS),
            *(self._marks_seconds, rq_time(now), keys.BELL_LIMIT, self._is_recorded, *self._shared),
        ]
        for move in moves:
            arguments += _arguments(move, now)
        names = (keys.RQ_QUEUES, keys.LANES, keys.BELL, keys.READY, keys.RECORD)
        reply: Sequence[Any] = self._move(keys=[keys.replay(replay_id), *names], args=arguments)
        if len(reply) == 1:
            raise CursorMovedError(f"replay {replay_id} is at {reply[0].decode()!r}, not {cursor!r}")
        reached, moved, *reasons = reply
        counted = {name.decode(): count for name, count in zip(reasons[::2], reasons[1::2], strict=True)}
        return Moved(reached.decode(), moved, counted)


@record
class Progress:
    """The progress of a replay, according to Redis."""

    cursor: str
    """Empty before the first event."""
    moved: int
    passed_over: Mapping[str, int] = field(hash=False)


def read_progress(redis: Redis, replay_id: str) -> Progress:
    """Read where a replay is, and how many events it has moved and passed over."""
    fields: Any = redis.hgetall(keys.replay(replay_id))
    counts = Counter({name.decode(): int(count) for name, count in fields.items() if name != b"cursor"})
    moved = counts.pop("moved", 0)
    return Progress(fields.get(b"cursor", b"").decode(), moved, counts)


def _arguments(move: Move, now: float) -> tuple[Any, ...]:
    # In the order of RecordedOutcome's fields (shared/queue/record.py).
    reason = f"replay {move.replay.id}"
    line = [move.event_id, move.lane, REPLAYED, now, move.received_at, "", 0, reason, move.replay.id, []]
    handlers = move.replay.handlers
    return (
        *(move.cursor, move.event_id, move.lane, move.passed_over, move.data, move.description),
        *(move.replay.encode(), orjson.dumps(handlers), orjson.dumps(dict(move.marks)), orjson.dumps(line)),
    )
