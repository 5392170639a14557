"""Ask Redis whether it takes writes, how fast, and how full it is, and set the circuit accordingly."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from ackfirst.ingest.generation import GenerationWatch
from ackfirst.ingest.spool.circuit import Circuit
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.generation import new_marker
from ackfirst.shared.redis.replicated import MASTER_ONLY, Replicas

#: Between two checks while the circuit is open, and while it is closed.
OPEN_SECONDS: Final = 0.25
CLOSED_SECONDS: Final = 1.0

TIMEOUT_SECONDS: Final = 2.0

_PROBE_SECONDS: Final = 60

#: Keys that every event needs. If one is of another type, Redis refuses them all, and that is an outage like any other.
_TYPES: Final = {keys.RQ_QUEUES: b"set", keys.LANES: b"set", keys.BELL: b"list"}


class Health:
    """Checks Redis once a second, and more often while it is in trouble.

    Args:
        redis: A client of its own, which does not try again by itself.
        circuit: Opened and closed by the answers.
        generation: Gets Redis's marker and counter, and finds out whether Redis has lost data.
        deadline: Seconds; a slower answer is too late for callbacks.
        replicas: Replicas without which nothing counts as written.
        is_stuck: Whether writes are still under way that were given up: new ones would wait behind them.
    """

    def __init__(
        self,
        redis: Redis,
        circuit: Circuit,
        generation: GenerationWatch,
        *,
        deadline: float,
        replicas: Replicas = MASTER_ONLY,
        is_stuck: Callable[[], bool],
    ) -> None:
        self._redis = redis
        self._circuit = circuit
        self._generation = generation
        self._deadline = deadline
        self._replicas = replicas
        self._is_stuck = is_stuck

    async def run(self) -> None:
        """Check for ever."""
        while True:
            await self.ask()
            await asyncio.sleep(CLOSED_SECONDS if self._circuit.closed else OPEN_SECONDS)

    async def ask(self) -> None:
        """Check once."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                memory = await self._check()
        except Exception as error:  # noqa: BLE001 - whatever it is: without an answer the spool would never be emptied
            self._circuit.fail(f"Redis: {str(error) or type(error).__name__}")
            return
        if loop.time() - started > self._deadline or self._is_stuck():
            self._circuit.late()
        else:
            self._circuit.well(memory)

    async def _check(self) -> float | None:
        """Write while the circuit is open (which finds READONLY, OOM, LOADING and the like), and read the memory."""
        since = self._generation.position
        async with self._redis.pipeline(transaction=False) as pipeline:
            if not self._circuit.closed:
                pipeline.set(keys.PROBE, "1", ex=_PROBE_SECONDS)
            pipeline.get(keys.GENERATION)
            pipeline.get(keys.ACKNOWLEDGED)
            pipeline.info("memory")
            for key in _TYPES:
                pipeline.type(key)
            if self._replicas.count:  # do they have the write, or while nothing is written, are they there at all?
                pipeline.execute_command(*self._replicas.wait)
            answers = await pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception) and not _is_harmless(answer):
                raise answer
        if self._replicas.count:
            self._replicas.check(answers.pop())
        *_, marker, acknowledged, memory = answers[: -len(_TYPES)]
        _check_types(answers[-len(_TYPES) :])
        if marker is None and self._circuit.closed:
            await self._redis.set(keys.GENERATION, new_marker(time.time()), nx=True)
        if isinstance(marker, bytes):
            self._generation.observe(marker.decode(errors="replace"), _whole(acknowledged), since=since)
        return None if isinstance(memory, Exception) else _share(memory)


def _check_types(found: Sequence[Any]) -> None:
    for (key, wanted), kind in zip(_TYPES.items(), found, strict=True):
        if isinstance(kind, bytes) and kind not in {wanted, b"none"}:
            raise ResponseError(f"the key {key} is a {kind.decode()}, not a {wanted.decode()}: rename or delete it")


def _is_harmless(error: Exception) -> bool:
    """Return whether Redis takes events all the same: our rights or a marker failed, not the queue."""
    return isinstance(error, NoPermissionError) or str(error).startswith("WRONGTYPE")


def _whole(number: Any) -> int:
    return int(number) if isinstance(number, bytes) and number.isdigit() else 0


def _share(memory: Any) -> float | None:
    limit = int(memory.get("maxmemory", 0))
    return int(memory.get("used_memory", 0)) / limit if limit else None
