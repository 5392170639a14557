"""The janitor's look at whether Redis still has its data; it also knows how much waited there."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.generation import Generation
from ackfirst.workers.replies import text

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Seconds between two counts of what waits.
COUNT_INTERVAL: Final = 5.0


class GenerationWatch:
    """One janitor's memory. ``marker`` makes a new marker; ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        redis: Redis,
        *,
        marker: Callable[[], str],
        log: "FilteringBoundLogger",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._marker = marker
        self._log = log
        self._clock = clock
        self._known = Generation()
        self._waiting: dict[str, int] = {}
        self._counted = float("-inf")

    def look(self) -> None:
        """Compare with the last round."""
        marker, acknowledged = self._redis.mget(keys.GENERATION, keys.ACKNOWLEDGED)
        if marker is None:
            self._redis.set(keys.GENERATION, self._marker(), nx=True)
            marker = self._redis.get(keys.GENERATION)
        counter = int(acknowledged) if acknowledged and acknowledged.isdigit() else 0
        loss = self._known.observe(text(marker) if marker else None, counter, since=self._known.position)
        if loss:
            self._log.error(
                "redis.data-lost",
                kind=loss.kind,
                events=loss.events or None,
                waiting_when_last_counted=self._waiting,
                seconds_since=round(self._clock() - self._counted, 1) if self._waiting else None,
            )
        if loss or self._clock() - self._counted >= COUNT_INTERVAL:
            self._count()

    def _count(self) -> None:
        self._counted = self._clock()
        lanes = sorted(text(lane) for lane in self._redis.smembers(keys.LANES))
        with self._redis.pipeline(transaction=False) as pipeline:
            for lane in lanes:
                pipeline.llen(keys.queue(lane))
                pipeline.zcard(keys.scheduled(lane))
            counts: list[Any] = pipeline.execute(raise_on_error=False)
        numbers = [count if isinstance(count, int) else 0 for count in counts]
        sums = {lane: numbers[2 * at] + numbers[2 * at + 1] for at, lane in enumerate(lanes)}
        self._waiting = {lane: count for lane, count in sums.items() if count}
