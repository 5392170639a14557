"""The load generator: prepared requests over keep-alive connections, closed loop for rates, open loop for latency.

It parses no more of an answer than its status and its end, so that it takes a fraction of the server's time;
``Run.busy`` says what share of one core it used. Near 1.0 the generator, not the server, would be what is measured.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True, slots=True)
class Run:
    """What one run showed."""

    rate: float
    """Answers a second."""
    statuses: Counter[int]
    latencies: list[float]
    """Seconds from the planned moment (open loop) or the sending (closed loop) to the answer, sorted."""
    busy: float
    """Share of one core that the generator itself used."""

    def percentile(self, share: float) -> float:
        """Latency in milliseconds below which ``share`` of the answers lie."""
        return 1000 * self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lost = False
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are no subclass of it

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if separator and len(body) >= _content_length(head) and self._answer is not None:
            self._buffer = b""
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    async def ask(self, request: bytes) -> int:
        """Send one prepared request; its answer's status."""
        if self._lost:
            raise ConnectionResetError("the server has closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._transport.close()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def _connections(port: int, count: int) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(_Connection, "127.0.0.1", port) for _ in range(count)]
    return [protocol for _, protocol in pairs]


async def closed_loop(port: int, requests: Sequence[bytes], *, connections: int) -> Run:
    """As fast as the server answers, ``connections`` requests under way."""
    waiting: Iterator[bytes] = iter(requests)
    statuses: Counter[int] = Counter()
    latencies: list[float] = []

    async def keep_asking(connection: _Connection) -> None:
        for request in waiting:
            sent = time.perf_counter()
            statuses[await connection.ask(request)] += 1
            latencies.append(time.perf_counter() - sent)

    pool = await _connections(port, connections)
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(keep_asking, pool))
    return _finish(pool, started, cpu, statuses, latencies)


async def open_loop(port: int, requests: Iterable[bytes], *, rate: float, connections: int) -> Run:
    """One request every ``1 / rate`` seconds whatever the server does: a stall shows as latency of all that wait."""
    pool = await _connections(port, connections)
    idle: asyncio.Queue[_Connection] = asyncio.Queue()
    for connection in pool:
        idle.put_nowait(connection)
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    started, cpu = time.perf_counter(), time.process_time()

    async def ask(request: bytes, planned: float) -> None:
        connection = await idle.get()
        statuses[await connection.ask(request)] += 1
        latencies.append(time.perf_counter() - planned)
        idle.put_nowait(connection)

    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(requests):
            planned = started + number / rate
            await asyncio.sleep(max(0.0, planned - time.perf_counter()))
            group.create_task(ask(request, planned))
    return _finish(pool, started, cpu, statuses, latencies)


def _finish(pool: list[_Connection], started: float, cpu: float, statuses: Counter[int], latencies: list[float]) -> Run:
    seconds = time.perf_counter() - started
    busy = (time.process_time() - cpu) / seconds
    for connection in pool:
        connection.close()
    return Run(rate=len(latencies) / seconds, statuses=statuses, latencies=sorted(latencies), busy=busy)
