"""The short way through aiohttp: a callback that came whole is answered from where its bytes were parsed.

aiohttp makes a task, a request, a response and five turns of the event loop of each request, which is more than we do
ourselves. Its parser, its flow control, its timers and its road for everything else stay as they are.
"""

import asyncio
from typing import Any, Protocol

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from ackfirst.ingest.connections import KEEPALIVE_TIMEOUT, READ_BUFFER, ConnectionGuard, GuardedConnection
from ackfirst.ingest.wire import Reply


class Express(Protocol):
    """Who may answer a request at once."""

    def __call__(self, message: RawRequestMessage, content: StreamReader, reply: Reply) -> bool:
        """Take a request on; False, and nothing is read of it, when it is to go the long way."""


class ExpressConnection(GuardedConnection):
    """A connection with a short way, for one request at a time.

    It is open only while aiohttp's own loop over the requests (``RequestHandler.start``) waits for one: answers keep
    the order of their requests. What comes in while a request is on the short way waits in aiohttp's queue.
    """

    __slots__ = ("_express", "_under_way")

    def __init__(self, server: web.Server, guard: ConnectionGuard, express: Express, **options: Any) -> None:
        super().__init__(server, guard, **options)
        self._express = express
        self._under_way = False

    def data_received(self, data: bytes) -> None:
        """Parse, and see which way each request goes."""
        waiter, self._waiter = self._waiter, None  # it is for us to say when aiohttp's loop goes on
        try:
            super().data_received(data)
        finally:
            self._waiter = waiter
        if waiter is not None and self._messages and not self._under_way and not self._went_short(waiter):
            _wake(waiter)

    def _went_short(self, waiter: asyncio.Future[None]) -> bool:
        # Who does not read answers is no customer of the short way: aiohttp's own waits until its buffer has room.
        if len(self._messages) > 1 or waiter.done() or self._buffer_paused or self.writing_paused:
            return False
        first = self._messages.popleft()
        message, content = first
        self._under_way = True  # the answer may come before ``_express`` returns
        if isinstance(message, RawRequestMessage) and self._express(message, content, self._reply):
            if self._parser is not None:
                self._parser.message_consumed()
            return True
        self._under_way = False
        self._messages.append(first)
        return False

    def _reply(self, response: bytes, last: bool) -> None:  # noqa: FBT001 - by position, as ``Reply`` has it
        self._under_way = False
        self._answers += 1
        self._guard.answered(self)
        transport = self.transport
        if transport is None or transport.is_closing():  # the peer has gone
            return
        transport.write(response)
        if last or self._close or (self._peer_ended and self._is_idle):
            self.force_close()  # after what was written
            return
        self._next_keepalive_close_time = self._loop.time() + KEEPALIVE_TIMEOUT
        if self._messages and self._waiter is not None:
            _wake(self._waiter)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Read on after a pause. aiohttp asks for it after each piece of a body, and parses nothing once more."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _process_keepalive(self) -> None:
        """Close when idle. aiohttp does not see that a request is on the short way."""
        if self._under_way:
            self._next_keepalive_close_time = self._loop.time() + KEEPALIVE_TIMEOUT
        super()._process_keepalive()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class GuardedServer(web.Server):
    """aiohttp's low-level server whose connections are guarded, and have a short way.

    It never decompresses a body: ``payload_hash`` is over the bytes on the wire, and nothing can be inflated.
    """

    def __init__(self, handler: Any, guard: ConnectionGuard, express: Express) -> None:
        super().__init__(handler)
        self._guard = guard
        self._express = express

    def __call__(self) -> RequestHandler:
        """A protocol for a new connection."""
        return ExpressConnection(
            self,
            self._guard,
            self._express,
            loop=asyncio.get_running_loop(),
            access_log=None,
            keepalive_timeout=KEEPALIVE_TIMEOUT,
            lingering_time=0.0,  # ours instead: aiohttp would read on meanwhile
            read_bufsize=READ_BUFFER,
            auto_decompress=False,
        )
