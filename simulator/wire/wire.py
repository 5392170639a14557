"""Sends prepared requests to one place, each over an idle connection or a new one, within the provider's time-outs."""

import asyncio
import contextlib
import os
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ackfirst.simulator.wire.connection import Connection
from ackfirst.simulator.wire.request import Place

#: Idle connections that are kept.
_KEPT: Final = 5000


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int | None
    """None: no answer."""
    error: str | None = None
    """Why there was none."""


@dataclass(frozen=True, slots=True)
class Slowness:
    """A request that comes in pieces."""

    pieces: int
    seconds: float
    """From the first piece to the last."""


class Wire:
    """One receiver, seen from the provider. Used within one event loop; close it at the end."""

    def __init__(self, place: Place, *, connect_timeout: float, answer_timeout: float) -> None:
        self._place = place
        self._connect_timeout = connect_timeout
        self._answer_timeout = answer_timeout
        self._ssl = ssl.create_default_context() if place.tls else None
        self._idle: deque[Connection] = deque(maxlen=_KEPT)
        self._open: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def send(self, data: bytes, done: Callable[[Answer], None], *, slowly: Slowness | None = None) -> None:
        """Send one request; ``done`` is called once, with its answer or the reason why there is none."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                self._exchange(connection, data, done, slowly)
                return
            self._open.discard(connection)
        task = self._loop.create_task(self._connect(data, done, slowly))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    @property
    def idle(self) -> int:
        """Connections over which a request could go at once."""
        return sum(connection.usable for connection in self._idle)

    async def ask(self, data: bytes, *, slowly: Slowness | None = None) -> Answer:
        """Send one request and wait for its answer."""
        answered: asyncio.Future[Answer] = self._loop.create_future()

        def take(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        self.send(data, take, slowly=slowly)
        return await answered

    async def close(self) -> None:
        """Close every connection; nobody is told of what is still under way."""
        for task in tuple(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in self._open:
            connection.abandon()
        self._open.clear()
        self._idle.clear()

    async def _connect(self, data: bytes, done: Callable[[Answer], None], slowly: Slowness | None) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await self._loop.create_connection(
                    Connection, self._place.host, self._place.port, ssl=self._ssl
                )
        except TimeoutError:
            done(Answer(None, f"no answer (not connected within {self._connect_timeout:g} s)"))
        except OSError as error:
            done(Answer(None, f"no answer ({_why(error)})"))
        else:
            self._open.add(connection)
            self._exchange(connection, data, done, slowly)

    def _exchange(
        self, connection: Connection, data: bytes, done: Callable[[Answer], None], slowly: Slowness | None
    ) -> None:
        rest: list[asyncio.TimerHandle] = []

        def finish(status: int | None, error: str | None) -> None:
            for handle in rest:
                handle.cancel()
            if connection.usable and not rest:
                self._idle.append(connection)
            else:
                connection.close()
                self._open.discard(connection)
            done(Answer(status, error))

        connection.expect(self._answer_timeout, finish)
        if slowly is None:
            connection.write(data)
        else:
            rest += self._trickle(connection, data, slowly)

    def _trickle(self, connection: Connection, data: bytes, slowly: Slowness) -> list[asyncio.TimerHandle]:
        """Write the first piece, and plan the others."""
        size = -(-len(data) // slowly.pieces)
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        connection.write(pieces[0])
        pause = slowly.seconds / max(1, len(pieces) - 1)
        return [
            self._loop.call_later(number * pause, connection.write, piece)
            for number, piece in enumerate(pieces[1:], start=1)
        ]


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'failed'}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    number = error.errno or 0
    with contextlib.suppress(ValueError):
        return (os.strerror(number) if number > 0 else str(error.strerror or error)).lower()
    return type(error).__name__
