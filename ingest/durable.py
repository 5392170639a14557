"""Wire up what makes events durable: the batcher, the spool, the circuit and the sink that chooses between them."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ackfirst.ingest.batcher import FLUSH_LIMIT, Batcher
from ackfirst.ingest.cancellation import cancel_all
from ackfirst.ingest.generation import GenerationWatch
from ackfirst.ingest.limits import IngestLimits
from ackfirst.ingest.metrics import Exposition
from ackfirst.ingest.request_log import Log
from ackfirst.ingest.sink import FallbackSink
from ackfirst.ingest.spool.circuit import Circuit
from ackfirst.ingest.spool.drain import Drain
from ackfirst.ingest.spool.health import Health
from ackfirst.ingest.spool.keeper import Spool
from ackfirst.shared.queue.dedupe import DEDUPE_SECONDS
from ackfirst.shared.queue.enqueue import Enqueuer
from ackfirst.shared.settings import Settings
from ackfirst.shared.spool.folder import spool_folder

#: Seconds within which writes that Redis has not confirmed must end at a stop.
ABANDON_SECONDS: Final = 1.0


class Durability:
    """The parts that make events durable.

    Args:
        settings: Deadlines and sizes that the operator chose.
        limits: Bounds that are constants.
        redis: Makes a client of so many connections; further arguments go to redis-py.
        exposition: The metrics.
        log: A structlog logger.
    """

    def __init__(
        self, settings: Settings, limits: IngestLimits, redis: Callable[..., Any], exposition: Exposition, log: Log
    ) -> None:
        self._settings = settings
        self._redis = redis
        self._log = log
        self._circuit = circuit = Circuit(high_water=limits.redis_memory_share, log=log)
        self.generation = GenerationWatch(
            settings.data_dir, settings.redis_url.get_secret_value(), log=log, registry=exposition.registry
        )
        self._batcher = Batcher(
            self._enqueuer(FLUSH_LIMIT),
            deadline=settings.ack_deadline,
            clock=time.time,
            on_flush=exposition.metrics.flush_size.observe,
        )
        self.spool = Spool(
            spool_folder(settings.data_dir),
            max_bytes=settings.spool_max_bytes,
            max_age=settings.spool_max_age,
            circuit=circuit,
            drain=Drain(
                self._enqueuer(1),
                clock=time.time,
                arrivals=lambda: self.sink.arrivals,
                on_step=exposition.spool.step,
                log=log,
            ),
            meters=exposition.spool,
            clock=time.time,
            log=log,
        )
        self.sink = FallbackSink(self._batcher, self.spool, circuit)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the health checks of Redis and the drain of the spool."""
        health = Health(
            self._redis(1, retry=Retry(NoBackoff(), 0)),
            self._circuit,
            self.generation,
            deadline=self._settings.ack_deadline,
            replicas=self._settings.replicas,
            is_stuck=self._batcher.is_stuck,
        )
        self._tasks = [asyncio.create_task(work) for work in (health.run(), self.spool.run())]

    async def close(self) -> None:
        """Write what waits, in Redis or on disk; what is on disk stays there for the next process."""
        if running := await cancel_all(self._tasks, within=self._settings.stop_grace):
            self._log.warning("ingest.tasks-left", tasks=running)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.stop_grace):
                await self._batcher.close()
        await self._batcher.abandon(within=ABANDON_SECONDS)
        await self.spool.close()
        self.generation.close()

    def _enqueuer(self, connections: int) -> Enqueuer:
        """Make a queue that asks Redis twice at most, without a pause: the disk is faster than a third try."""
        client = self._redis(connections, retry=Retry(NoBackoff(), 1))
        return Enqueuer(
            client,
            self._settings.job_options,
            dedupe_seconds=DEDUPE_SECONDS,
            counter=self.generation,
            replicas=self._settings.replicas,
        )
