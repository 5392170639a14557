"""Counts what became of events, and puts their marks in order, in one round trip."""

from typing import Any, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.workers.processing.report import Outcome, Report

#: Seconds for which the marks of a finished event stay: should the worker die before RQ has heard that the job is
#: finished, its next run finds nothing left to do.
LINGER: Final = 300


class Tally:
    """Writes the end of a pass. ``keep`` is the time in seconds for which the marks of a dead letter stay."""

    def __init__(self, redis: Redis, *, keep: int) -> None:
        self._redis = redis
        self._keep = keep

    def record(self, event_id: str, report: Report) -> None:
        """Count the outcome and the handlers' durations; settle the marks if this was the last pass."""
        with self._redis.pipeline() as pipeline:
            pipeline.hincrby(keys.OUTCOMES, report.outcome.value, 1)
            for handler, seconds in report.seconds.items():
                pipeline.hincrby(keys.HANDLER_TIMES, f"{handler}:runs", 1)
                pipeline.hincrbyfloat(keys.HANDLER_TIMES, f"{handler}:seconds", round(seconds, 6))
            self._settle(pipeline, keys.marks(event_id), report)
            pipeline.execute()

    def _settle(self, pipeline: Any, key: str, report: Report) -> None:
        if report.outcome is Outcome.RETRIED:
            return
        if report.outcome is Outcome.DEAD:
            # Requeued by an operator, the dead ones start with a fresh budget.
            pipeline.hdel(key, *report.unsettled)
            pipeline.expire(key, self._keep)
        else:
            pipeline.expire(key, LINGER)
