"""Sends planned callbacks at their pace, whatever the receiver does, and retries like a provider.

Open loop: a callback's clock starts when it is due, not when a connection is free, so a receiver that stalls shows
as latency instead of as a slower sender.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from shared.nexmo.callback import Family
from simulator.delivery import Attempt, Delivery
from simulator.planned import Kind, Planned
from simulator.signing import PATHS, Request, Signer

#: Seconds between attempts. The provider's own begin at 5 and double for 24 hours; these end a test run in time.
RETRY_DELAYS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)

#: Seconds, the provider's own: 3 to connect, 15 to answer.
CONNECT_TIMEOUT: Final = 3.0
ANSWER_TIMEOUT: Final = 15.0


class Unreachable(Exception):  # noqa: N818 - a state of the world, not a mistake
    """Nobody answers at the target; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast, how many at once, how stubborn."""

    rate: float = 200.0
    """Callbacks per second; 0 is as fast as the receiver answers."""
    concurrency: int = 100
    """Most requests in flight."""
    retry_delays: tuple[float, ...] = RETRY_DELAYS
    """Seconds before each further attempt."""
    sign_unsigned: bool = True
    """Whether an unsigned callback that was answered 503 comes again, signed."""


def client() -> aiohttp.ClientSession:
    """A session with the provider's timeouts."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=CONNECT_TIMEOUT + ANSWER_TIMEOUT, sock_connect=CONNECT_TIMEOUT),
        headers={"User-Agent": "ackfirst-simulator"},
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def probe(session: aiohttp.ClientSession, target: URL) -> None:
    """Ask the target what the provider asks when a URL is saved: an empty GET.

    Raises:
        Unreachable: Nobody answers there.
    """
    try:
        async with session.get(_url(target, PATHS[Family.INBOUND_MESSAGE]), allow_redirects=False) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unreachable(f"nobody answers at {target}: {_why(error)}") from error


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):  # its own words repeat the address
        number = error.os_error.errno or 0
        return (os.strerror(number) if number > 0 else str(error.os_error.strerror)).lower()
    return str(error) or type(error).__name__


def _url(target: URL, path: str, query: str = "") -> URL:
    """The query goes out exactly as it was encoded."""
    return URL(f"{str(target).rstrip('/')}{path}{'?' if query else ''}{query}", encoded=True)


class Sender:
    """Sends one run's traffic. Every delivery is in ``sent`` from its first byte on, also after a cancellation."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        target: URL,
        signer: Signer,
        pace: Pace,
        *,
        sent: list[Delivery],
        now: Callable[[], float] = time.time,
        on_answer: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._target = target
        self._signer = signer
        self._pace = pace
        self._now = now
        self._on_answer = on_answer
        self._sent = sent

    async def send(self, traffic: Sequence[Planned]) -> None:
        """Send everything and wait for the last retry."""
        begun = time.perf_counter()
        turns = enumerate(traffic)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._pace.concurrency, len(traffic))):
                group.create_task(self._work(turns, begun, group))

    async def _work(self, turns: Iterator[tuple[int, Planned]], begun: float, group: asyncio.TaskGroup) -> None:
        for number, planned in turns:
            due = await self._turn(number, begun)
            delivery = Delivery(planned)
            self._sent.append(delivery)
            await self._attempt(delivery, due, signed=planned.kind is not Kind.UNSIGNED)
            self._on_answer()
            if self._wants_retry(delivery):
                group.create_task(self._retry(delivery))

    async def _turn(self, number: int, begun: float) -> float:
        """Wait until the callback of that number is due; when that is by ``perf_counter``.

        The loop's own clock stands still within a turn and has whole milliseconds: too coarse for what is measured.
        """
        now = time.perf_counter()
        if not self._pace.rate:
            return now
        due = begun + number / self._pace.rate
        await asyncio.sleep(max(0.0, due - now))
        return due

    async def _retry(self, delivery: Delivery) -> None:
        for delay in self._pace.retry_delays:
            await asyncio.sleep(delay)
            await self._attempt(delivery, time.perf_counter(), signed=True)
            if not self._wants_retry(delivery):
                return

    def _wants_retry(self, delivery: Delivery) -> bool:
        return delivery.wants_retry(most=len(self._pace.retry_delays), sign_unsigned=self._pace.sign_unsigned)

    async def _attempt(self, delivery: Delivery, due: float, *, signed: bool) -> None:
        request = self._signer.request(delivery.planned, signed=signed, now=self._now())
        status, error = await self._exchange(request)
        at = time.perf_counter()
        delivery.attempts.append(Attempt(signed=signed, status=status, seconds=at - due, error=error, at=at))

    async def _exchange(self, request: Request) -> tuple[int | None, str | None]:
        try:
            async with self._session.request(
                request.method,
                _url(self._target, request.path, request.query),
                data=request.body or None,
                headers=request.headers,
                skip_auto_headers=("Content-Type",),
                allow_redirects=False,
            ) as response:
                await response.read()
                return response.status, None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return None, f"no answer ({type(error).__name__})"
