"""Connections to the public port: how many, which one gives way, and how long one may take to say what it wants."""

import asyncio
import resource
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

#: Seconds from the connection to the end of its first request's head.
HEAD_TIMEOUT: Final = 10.0

#: Seconds that an idle connection stays open, and that a later request's head may take. More than the 60 s of the usual
#: load balancer, which must be the one that closes: otherwise a callback meets a closing connection.
KEEPALIVE_TIMEOUT: Final = 75.0

#: Seconds that the sender of a refused body has to take the answer before the connection is closed.
LINGERING_TIME: Final = 0.5

#: Bytes of a body that aiohttp holds for us before it stops reading from the socket (it stops at twice this).
READ_BUFFER: Final = 16 * 1024

#: File descriptors beside the connections: Redis, the admin port, logs, the interpreter.
RESERVED_FILES: Final = 128


#: Connections that are looked at, for one more to be let in, before that one is refused.
LOOKS: Final = 64


class Connection(Protocol):
    """A connection as the guard sees it."""

    def waits_for_its_peer(self) -> bool:
        """Whether nothing can be done for it at this moment: closing it takes no answer from anybody."""

    def give_way(self) -> None:
        """Close at once, for another one."""


class ConnectionGuard:
    """Bounds the open connections of one process.

    Above the limit the one gives way that was answered longest ago, or opened, and now waits for its peer: a genuine
    sender says what it wants within milliseconds, so that thousands who hold their connections do not keep it out.

    Args:
        limit: Most connections at a time.
        head_timeout: Seconds from the connection to the end of its first request's head.
        on_change: Is told the number after each change.
        on_refuse: Is told why a connection was closed: ``connection-limit``, ``gave-way`` or ``head-timeout``.
    """

    def __init__(
        self,
        *,
        limit: int,
        head_timeout: float,
        on_change: Callable[[int], None],
        on_refuse: Callable[[str], None],
    ) -> None:
        self.limit = limit
        self.head_timeout = head_timeout
        self._open: OrderedDict[Connection, None] = OrderedDict()
        self._on_change = on_change
        self.refuse = on_refuse

    def admit(self, connection: Connection) -> bool:
        """Whether one more connection may stay."""
        if len(self._open) >= self.limit and not self._make_room():
            self.refuse("connection-limit")
            return False
        self._open[connection] = None
        self._on_change(len(self._open))
        return True

    def answered(self, connection: Connection) -> None:
        """An admitted connection has earned its place anew."""
        if connection in self._open:
            self._open.move_to_end(connection)

    def leave(self, connection: Connection) -> None:
        """A connection that was admitted is gone. One that gave way has left before."""
        if connection in self._open:
            del self._open[connection]
            self._on_change(len(self._open))

    def _make_room(self) -> bool:
        for _ in range(LOOKS):
            oldest = next(iter(self._open))
            if oldest.waits_for_its_peer():
                self.refuse("gave-way")
                self.leave(oldest)
                oldest.give_way()
                return True
            self._open.move_to_end(oldest)
        return False


class GuardedConnection(RequestHandler):
    """aiohttp's connection with the guard, a time limit for the first head, answers after a half-close, quiet errors.

    aiohttp itself writes a traceback for each malformed request, and answers 500 to what a handler raises: the first
    would let strangers fill the disk, the second would not be retried everywhere.
    """

    __slots__ = ("_admitted", "_answers", "_guard", "_head_timer", "_peer_ended")

    def __init__(self, server: web.Server, guard: ConnectionGuard, **options: Any) -> None:
        super().__init__(server, **options)
        self._guard = guard
        self._admitted = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._answers = 0
        self._peer_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection, or close it at once when there are too many."""
        self._admitted = self._guard.admit(self)
        if not self._admitted:
            transport.close()
            return
        super().connection_made(transport)
        self._head_timer = self._loop.call_later(self._guard.head_timeout, self._end_of_patience)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another."""
        if not self._admitted:
            return
        self._admitted = False
        self._guard.leave(self)
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's meaning: True keeps the connection open
        """The peer will send no more: what it sent completely is answered first."""
        self._peer_ended = not self._is_idle and not self._is_incomplete
        return self._peer_ended

    def waits_for_its_peer(self) -> bool:
        """Whether it is idle, or the peer is to send the rest of a request, or to take answers."""
        return self._is_idle or self._is_incomplete or self.writing_paused

    @property
    def _is_idle(self) -> bool:
        """Whether all requests are answered; the head of the next one may be on its way."""
        return self._answers == self._request_count

    @property
    def _is_incomplete(self) -> bool:
        """Whether a part of the body that is being read is still to come."""
        return self._current_request is not None and not self._current_request.content.is_eof()

    def give_way(self) -> None:
        """Close at once, whatever the peer has still to take."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    def _end_of_patience(self) -> None:
        if self._request_count == 0:
            self._guard.refuse("head-timeout")
            self.force_close()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer. Of a body that was not read to its end, the rest stays in the sender's buffers.

        The pause lets the sender take the answer: closing at once, with data unread, would make the kernel discard it.
        """
        sent = await super().finish_response(request, resp, start_time)
        self._answers += 1
        self._guard.answered(self)
        if self._peer_ended and self._is_idle:
            self.close()
        if not request.content.is_eof():
            await asyncio.sleep(LINGERING_TIME)
        return sent

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - part of aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - part of aiohttp's signature
    ) -> web.StreamResponse:
        """400 for what is not HTTP; 503, and one traceback, for what our own code did not foresee."""
        if status < 500:  # noqa: PLR2004 - the HTTP status
            self._guard.refuse("bad-request")
            response = web.Response(status=status)
        else:
            self.logger.error("request failed", exc_info=exc)
            response = web.Response(status=503, headers={"Retry-After": "5"})
        response.force_close()
        return response


def room_for_connections(wanted: int) -> int:
    """Raise this process's limit of open files for ``wanted`` connections as far as it may be; how many fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - RESERVED_FILES))
