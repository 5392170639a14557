"""Asks Redis whether it takes writes, how fast, and how full it is; tells the circuit."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from ackfirst.ingest.generation import GenerationWatch
from ackfirst.ingest.spool.circuit import Circuit
from ackfirst.shared.queue import keys

#: Seconds between two questions while the circuit is open, and while it is closed.
URGENT: Final = 0.25
CALM: Final = 1.0

#: Seconds to wait for an answer.
TIMEOUT: Final = 2.0

_PROBE_SECONDS: Final = 60


class Health:
    """Keeps asking.

    Args:
        redis: A client of its own, which does not try again by itself.
        circuit: Is told.
        deadline: Seconds; a slower answer is too late for callbacks.
        generation: Is told of Redis's marker and counter: has it still its data?
        is_stuck: Whether writes are still under way that were given up: new ones would wait behind them.
    """

    def __init__(
        self,
        redis: Redis,
        circuit: Circuit,
        generation: GenerationWatch,
        *,
        deadline: float,
        is_stuck: Callable[[], bool],
    ) -> None:
        self._redis = redis
        self._circuit = circuit
        self._generation = generation
        self._deadline = deadline
        self._is_stuck = is_stuck

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self.ask()
            await asyncio.sleep(CALM if self._circuit.closed else URGENT)

    async def ask(self) -> None:
        """Ask once, and tell the circuit."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(TIMEOUT):
                memory = await self._question()
        except Exception as error:  # noqa: BLE001 - whatever it is: without an answer the spool would never be emptied
            self._circuit.fail(f"Redis: {str(error) or type(error).__name__}")
            return
        if loop.time() - started > self._deadline or self._is_stuck():
            self._circuit.late()
        else:
            self._circuit.well(memory)

    async def _question(self) -> float | None:
        """A write while the circuit is open (it finds READONLY, OOM, LOADING and the like), and the memory."""
        since = self._generation.position
        async with self._redis.pipeline(transaction=False) as pipeline:
            if not self._circuit.closed:
                pipeline.set(keys.PROBE, "1", ex=_PROBE_SECONDS)
            pipeline.get(keys.GENERATION)
            pipeline.get(keys.ACKNOWLEDGED)
            pipeline.info("memory")
            answers = await pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception) and not _concerns_us_alone(answer):
                raise answer
        *_, marker, acknowledged, memory = answers
        if marker is None and self._circuit.closed:
            await self._redis.set(keys.GENERATION, secrets.token_hex(8), nx=True)
        if isinstance(marker, bytes):
            self._generation.observe(marker.decode(errors="replace"), _whole(acknowledged), since=since)
        return None if isinstance(memory, Exception) else _share(memory)


def _concerns_us_alone(error: Exception) -> bool:
    """Whether Redis is well all the same: it does not let us ask this, or somebody wrote nonsense under our names."""
    return isinstance(error, NoPermissionError) or str(error).startswith("WRONGTYPE")


def _whole(number: Any) -> int:
    return int(number) if isinstance(number, bytes) and number.isdigit() else 0


def _share(memory: Any) -> float | None:
    limit = int(memory.get("maxmemory", 0))
    return int(memory.get("used_memory", 0)) / limit if limit else None
