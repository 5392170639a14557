"""Remember each handler's work on an event, so that a retry runs only the handlers that are not finished."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import orjson
from redis import Redis
from redis.client import Pipeline

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.failed_result import traceback_of
from ackfirst.shared.record import record
from ackfirst.workers.replies import text


class State(StrEnum):
    """State of a handler's work on an event."""

    DONE = "done"
    DISCARDED = "discarded"
    RETRY = "retry"
    DEAD = "dead"


@record
class Mark:
    """One handler's state, and what its next attempt must know."""

    state: State
    attempts: int
    """Made so far."""
    not_before: float = 0.0
    """Unix seconds of the next attempt; only of ``RETRY``."""

    @property
    def is_settled(self) -> bool:
        """Finished for good: not even a requeue of the dead letter runs this handler again."""
        return self.state in _SETTLED

    def encode(self) -> bytes:
        """Write it as compact JSON."""
        fields: dict[str, str | int | float] = {"s": self.state.value, "n": self.attempts}
        if self.not_before:
            fields["at"] = self.not_before
        return orjson.dumps(fields)


_SETTLED: Final = frozenset({State.DONE, State.DISCARDED})


def decode(encoded: bytes | str) -> Mark | None:
    """Read a mark; None where the text is not one: then the handler runs again."""
    try:
        fields = orjson.loads(encoded)
        return Mark(State(fields["s"]), int(fields["n"]), float(fields.get("at", 0)))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def read_marks(fields: Mapping[Any, Any]) -> dict[str, Mark]:
    """Read a hash of marks, as handler name → mark; a mark that cannot be read is left out."""
    found = {text(name): decode(value) for name, value in fields.items()}
    return {name: mark for name, mark in found.items() if mark is not None}


#: Least time for which marks outlive the latest retry in them: a job may wait so long in its lane. They are deleted
#: when the job ends.
HORIZON_SECONDS: Final = 30 * 86_400
#: Characters of an earlier failure that a later one repeats.
LONGEST_FAILURE: Final = 10_000
#: Seconds for which the marks of a finished event stay: if the worker dies before RQ has written that the job is
#: finished, the next run finds nothing left to do.
LINGER_SECONDS: Final = 300


class RedisMarks:
    """The marks of one event in the hash ``keys.marks``.

    ``keep`` is the time in seconds for which a dead letter is kept; ``now`` gives Unix seconds.
    """

    def __init__(self, redis: Redis, event_id: str, *, keep: int, now: Callable[[], float]) -> None:
        self._redis = redis
        self._key = keys.marks(event_id)
        self._job = keys.job(event_id)
        self._results = keys.results(event_id)
        self._dead_letter = keep
        self._keep = max(keep, HORIZON_SECONDS)
        self._now = now
        self._latest = 0.0

    def read(self) -> dict[str, Mark]:
        """Read the marks, as handler name → mark; one that cannot be read is left out."""
        marks = read_marks(self._redis.hgetall(self._key))
        self.know(marks)
        return marks

    def know(self, marks: Mapping[str, Mark]) -> None:
        """Take these as the marks in Redis, instead of reading them."""
        self._latest = max((mark.not_before for mark in marks.values()), default=0.0) if marks else 0.0

    def write(self, marks: Mapping[str, Mark], pipeline: Pipeline | None = None) -> None:
        """Write marks in one round trip, or with what ``pipeline`` writes."""
        if pipeline is None:
            with self._redis.pipeline() as own:
                self.write(marks, own)
                own.execute()
            return
        pipeline.hset(self._key, mapping={handler: mark.encode() for handler, mark in marks.items()})
        pipeline.expire(self._key, self.seconds(marks))

    def read_failure(self) -> str:
        """Read the traceback in the newest of RQ's results of the event; empty if it has none."""
        results: Any = self._redis.xrevrange(self._results, count=1)
        return traceback_of(results[0][1])[-LONGEST_FAILURE:] if results else ""

    def settle(self, *, dead: Sequence[str] | None, is_replay: bool = False) -> None:
        """Let the marks go soon after the last pass; of a dead letter, keep those of the handlers that finished.

        Requeued by an operator, the handlers in ``dead`` start with a fresh budget. A replay is over then: its field,
        left in the job, would keep a requeue from running the dead handlers that the replay left out. ``dead`` is None
        for an event that is no dead letter.
        """
        with self._redis.pipeline() as pipeline:
            if dead:
                pipeline.hdel(self._key, *dead)
            if dead is not None and is_replay:
                pipeline.hdel(self._job, keys.REPLAY)
            pipeline.expire(self._key, LINGER_SECONDS if dead is None else self._dead_letter)
            pipeline.execute()

    def seconds(self, marks: Mapping[str, Mark]) -> int:
        """Return how long the hash is kept once these marks are in it too."""
        for mark in marks.values():
            self._latest = max(self._latest, mark.not_before)
        return self._keep + max(0, int(self._latest - self._now())) if self._latest else self._keep
