"""Count how the events of a replay end, for its pace and for its own stop when they keep failing."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.record import UNWANTED
from ackfirst.shared.replay.endings import NEWEST
from ackfirst.workers.processing.marks import State
from ackfirst.workers.processing.outcome import EventEnding, Outcome

#: Seconds for which the counts stay after the last outcome: a retry may come hours after its replay.
KEPT_SECONDS: Final = 30 * 86_400
#: Name of the exception that a handler raises to be called later, which is no failure.
_LATER: Final = "RetryLater"


class ReplayOutcomes:
    """A sink that counts the outcomes of replayed events in Redis; others cost it nothing.

    A worker that is killed loses what it has not written: the counts are close, and no decision about a single event
    rests on them.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def write(self, batch: Sequence[Outcome]) -> None:
        """Add the outcomes of replayed events to the counts of their replays."""
        ended: dict[str, list[Outcome]] = {}
        for outcome in batch:
            if outcome.replay is not None and outcome.ending is not EventEnding.RESCUED:
                ended.setdefault(outcome.replay, []).append(outcome)
        if not ended:
            return
        with self._redis.pipeline() as pipeline:
            for replay_id, outcomes in ended.items():
                counts, newest = keys.replay_endings(replay_id), keys.replay_newest(replay_id)
                for name, number in Counter(map(_kind, outcomes)).items():
                    pipeline.hincrby(counts, name, number)
                pipeline.lpush(newest, *(f"{one.ended:.3f} {_failure(one)}" for one in outcomes))
                pipeline.ltrim(newest, 0, NEWEST - 1)
                pipeline.expire(counts, KEPT_SECONDS)
                pipeline.expire(newest, KEPT_SECONDS)
            pipeline.execute()


def _kind(outcome: Outcome) -> str:
    if outcome.reason == UNWANTED:
        return "unwanted"
    if outcome.ending is EventEnding.RETRIED:
        return "retried"
    return "died" if outcome.ending is EventEnding.DEAD and _has_failed(outcome) else "succeeded"


def _has_failed(outcome: Outcome) -> bool:
    """Return whether this pass has failed: an event also stays dead for a handler that the replay has left out."""
    return not outcome.handlers or any(one.ending is State.DEAD for one in outcome.handlers)


def _failure(outcome: Outcome) -> str:
    for one in outcome.handlers:
        if one.ending is State.DEAD or (one.ending is State.RETRY and one.error_type != _LATER):
            return f"{one.handler}: {one.error_type}"
    is_killed = outcome.ending is EventEnding.DEAD and not outcome.handlers and outcome.reason != UNWANTED
    return str(outcome.reason) if is_killed else ""
