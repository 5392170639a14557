"""Notice in the janitor that Redis has lost data, and say how much waited there."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.generation import Generation
from ackfirst.workers.replies import text

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Time between two counts of what waits.
COUNT_SECONDS: Final = 5.0
#: Lanes that one count looks at.
COUNTED_LANES: Final = 100


class GenerationWatch:
    """Compares Redis's marker with the last one seen. ``marker`` makes a new one; ``clock`` gives monotonic seconds."""

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
        if loss or self._clock() - self._counted >= COUNT_SECONDS:
            self._count()

    def _count(self) -> None:
        """Count what waits in the lanes whose turn is next: a sample, where there are very many lanes."""
        self._counted = self._clock()
        lanes: list[Any] = self._redis.zrange(keys.READY, 0, COUNTED_LANES - 1)
        with self._redis.pipeline(transaction=False) as pipeline:
            for lane in lanes:
                pipeline.llen(keys.queue(text(lane)))
            counts: list[Any] = pipeline.execute(raise_on_error=False)
        found = {text(lane): count for lane, count in zip(lanes, counts, strict=True) if isinstance(count, int)}
        self._waiting = {lane: count for lane, count in sorted(found.items()) if count}
