"""One keep-alive connection with at most one request under way."""

import asyncio
from collections.abc import Callable
from typing import cast

from ackfirst.simulator.wire.reader import BadAnswer, Reader

#: Is told the status, or why there is none.
Done = Callable[[int | None, str | None], None]


class Connection(asyncio.Protocol):
    """Writes what it is given and reads one answer at a time."""

    def __init__(self) -> None:
        self.usable = False
        """Whether it is open and another request may follow."""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader: Reader | None = None
        self._done: Done | None = None
        self._seconds = 0.0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are no subclass of it
        self.usable = True

    def expect(self, seconds: float, done: Done) -> None:
        """Read the next bytes as an answer; ``done`` is called once, after that many seconds at the latest."""
        self._reader, self._done = Reader(), done
        self._seconds, self._deadline = seconds, self._loop.time() + seconds
        if self._timer is None:  # one that was set for an earlier request looks again when it fires
            self._timer = self._loop.call_later(seconds, self._check_time)

    def write(self, data: bytes) -> None:
        """Send bytes; without effect when the connection is lost."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Part of an answer, or bytes that nobody asked for."""
        reader = self._reader
        if reader is None:
            self._abort()
            return
        try:
            whole = reader.feed(data)
        except BadAnswer as error:
            self._abort()
            self._end(None, f"no answer ({error})")
            return
        if whole:
            if not reader.keep_alive:
                self.close()
            self._end(reader.status, None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed by either side, or reset."""
        self.usable = False
        if self._timer is not None:
            self._timer.cancel()
        if self._reader is not None and exc is None and self._reader.end():
            self._end(self._reader.status, None)
        else:
            why = "connection reset" if exc is not None else "connection closed"
            self._end(None, f"no answer ({why})")

    def close(self) -> None:
        """Close in good order."""
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    def abandon(self) -> None:
        """Close at once; nobody is told of what is under way."""
        self._done = None
        self._abort()

    def _abort(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def _check_time(self) -> None:
        self._timer = None
        if self._done is None:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check_time)
            return
        self._abort()
        self._end(None, f"no answer (within {self._seconds:g} s)")

    def _end(self, status: int | None, error: str | None) -> None:
        done, self._reader, self._done = self._done, None, None
        if done is not None:
            done(status, error)
