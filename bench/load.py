"""Generate load: an open loop is the simulator's sender, a closed loop is as lean as it can be.

In a closed loop the load generator must cost less than the leanest server. aiohttp's client takes 104 µs of CPU time a
request, a connection of this module 19 µs: with the former, the bare handler would wait for a generator that uses a
whole core. ``Run.busy`` is the share of a core that the generator used; near 1 it is the limit.
"""

import asyncio
import json
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, cast

from ackfirst.shared.accounts import default_lane
from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.client import Answer
from ackfirst.simulator.content import Content
from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.planned import Planned, genuine
from ackfirst.simulator.rules import Pace
from ackfirst.simulator.sender import Sender
from ackfirst.simulator.signing import Request, Signer

API_KEY: Final = "k7m2p9qa"
SECRET: Final = "bench-" + "x" * 32
ACCOUNT: Final = SigningAccount(api_key=API_KEY, secret=SECRET.encode())
BODY_SIZE: Final = 700

#: Application of the callbacks, and the lane of their events.
APPLICATION: Final = "bench"
LANE: Final = default_lane(API_KEY, APPLICATION)


@dataclass(frozen=True, slots=True)
class Run:
    """Result of one run."""

    rate: float
    """Answers a second."""
    statuses: Counter[int]
    """Status → answers; 0 counts requests without an answer."""
    latencies: list[float]
    """Seconds from the time at which a request was due to its answer, sorted."""
    busy: float
    """Share of one core that the load generator used."""

    def percentile(self, share: float) -> float:
        """Return the latency in milliseconds below which ``share`` of the answers lie."""
        return 1000 * self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def callback_bodies(count: int, *, size: int = BODY_SIZE) -> Iterator[bytes]:
    """Yield ``count`` different inbound WhatsApp messages of ``size`` bytes."""
    for number in range(count):
        message = {
            "channel": "whatsapp",
            "message_uuid": str(uuid.uuid4()),
            "to": "12015550142",
            "from": f"4477009{number % 100000:05d}",
            "timestamp": "2026-03-04T09:15:27Z",
            "profile": {"name": "Ilse Brandt"},
            "context_status": "none",
            "message_type": "text",
            "text": "",
        }
        message["text"] = "m" * (size - len(json.dumps(message, separators=(",", ":"))))
        yield json.dumps(message, separators=(",", ":")).encode()


def callbacks(count: int, *, application: str = APPLICATION, size: int = BODY_SIZE) -> list[Planned]:
    """Return ``count`` callbacks of one application, to be signed when they are sent."""
    return [
        genuine(
            Content(family=Family.INBOUND_MESSAGE, channel="whatsapp", fields=json.loads(body), content_type="text"),
            ACCOUNT,
            application,
            body,
        )
        for body in callback_bodies(count, size=size)
    ]


async def closed_loop(port: int, traffic: Sequence[Planned], *, connections: int) -> Run:
    """Send as fast as the server answers, with ``connections`` requests in flight."""
    signer, now = Signer(ACCOUNT, Random()), time.time()
    waiting = iter([_encode(signer.request(one, signed=True, now=now)) for one in traffic])
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    transport = LeanTransport(port)
    pool = [await transport.connection() for _ in range(connections)]

    async def keep_asking(connection: _Connection) -> None:
        for request in waiting:
            sent = time.perf_counter()
            statuses[await connection.ask(request)] += 1
            latencies.append(time.perf_counter() - sent)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(keep_asking, pool))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    await transport.close()
    return Run(len(latencies) / seconds, statuses, sorted(latencies), cpu / seconds)


async def open_loop(
    port: int, traffic: Sequence[Planned], *, rate: float, connections: int, until: asyncio.Task[float] | None = None
) -> Run:
    """Send a request every ``1 / rate`` seconds whatever the server does, so that a stall shows as latency.

    Ends with the traffic, or when the task ``until`` has ended.
    """
    transport, sent = LeanTransport(port), list[Delivery]()
    await transport.connect(connections)
    pace = Pace(rate=rate, concurrency=connections, retry_delays=())
    sender = Sender(transport, Signer(ACCOUNT, Random()), pace, sent=sent)
    started, cpu = time.perf_counter(), time.process_time()
    sending = asyncio.create_task(sender.send(traffic))
    await asyncio.wait([sending, *([until] if until else [])], return_when=asyncio.FIRST_COMPLETED)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    if not sending.done():
        sending.cancel()
        await asyncio.wait([sending])
    else:
        sending.result()
    await transport.close()
    attempts = [attempt for delivery in sent for attempt in delivery.attempts]
    return Run(
        rate=len(attempts) / seconds,
        statuses=Counter(attempt.status or 0 for attempt in attempts),
        latencies=sorted(attempt.seconds for attempt in attempts),
        busy=cpu / seconds,
    )


class LeanTransport:
    """Keep-alive connections to a port of this machine, which read no more of an answer than its status and its end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()

    async def connect(self, count: int) -> None:
        """Open connections before the clock starts."""
        self._idle.extend([await self.connection() for _ in range(count)])

    async def send(self, request: Request, *, slow: bool = False) -> Answer:
        """Send the request and wait for its answer. Slow requests are not supported."""
        assert not slow
        try:
            connection = self._idle.pop() if self._idle else await self.connection()
            status = await connection.ask(_encode(request))
        except OSError as error:
            return Answer(None, f"no answer ({type(error).__name__})")
        self._idle.append(connection)
        return Answer(status)

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._open:
            connection.close()

    async def connection(self) -> "_Connection":
        """Open a connection."""
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._port)
        self._open.add(connection)
        return connection


class _Connection(asyncio.Protocol):
    """One connection with at most one request in flight."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lost = False
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are not a subclass of it

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if separator and len(body) >= _content_length(head) and self._answer is not None:
            self._buffer = b""
            if not self._answer.done():
                self._answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    async def ask(self, request: bytes) -> int:
        """Send one request; return its answer's status."""
        if self._lost:
            raise ConnectionResetError("the server has closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def _encode(request: Request) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    head = (
        f"{request.method} {request.path} HTTP/1.1\r\nHost: hooks.example.com\r\n"
        f"User-Agent: Vonage/MessagingHUB/v1.0\r\n{headers}Content-Length: {len(request.body)}\r\n\r\n"
    )
    return head.encode() + request.body


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
