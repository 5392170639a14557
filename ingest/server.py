"""Run aiohttp's low-level HTTP server with guarded connections, and repair what it would refuse of genuine requests."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong

from ackfirst.ingest.connections import ConnectionGuard
from ackfirst.ingest.framing import RequestFramer
from ackfirst.ingest.http import PreparedResponse
from ackfirst.shared.nexmo.reading import MAX_PARAMETERS_LENGTH

#: Seconds that an idle connection stays open, and that a later request's head may take. More than the 60 s of the usual
#: load balancer, which must be the one that closes: otherwise a callback meets a closing connection.
KEEPALIVE_SECONDS: Final = 75.0

#: Seconds that the sender of a refused body has to take the answer before the connection is closed.
LINGERING_SECONDS: Final = 0.5

#: Seconds after which a half-closed connection is looked at. A request that came in the same segment as the end is
#: taken up by aiohttp one turn of the event loop later, the next pipelined one after the first one's answer.
HALF_CLOSED_SECONDS: Final = 0.05

#: Bytes of a body that aiohttp holds for us before it stops reading from the socket (it stops at twice this).
READ_BUFFER_BYTES: Final = 16 * 1024

#: Bytes of a request line. Our own limit for parameters decides, not aiohttp's 8,190: an SMS of 700 emoji that comes by
#: GET is longer.
LINE_LIMIT_BYTES: Final = MAX_PARAMETERS_LENGTH + 4096


class GuardedConnection(web.RequestHandler):
    """aiohttp's connection with the guard, a time limit for the first head, answers after a half-close, quiet errors.

    aiohttp writes a traceback for each malformed request, which would let any sender fill the disk, and answers 500 to
    what a handler raises, which is not retried everywhere. Overrides public methods only.
    """

    __slots__ = (
        "_admitted",
        "_framer",
        "_guard",
        "_head_timer",
        "_is_paused",
        "_peer_ended",
        "_request",
        "was_refused",
    )

    def __init__(self, server: web.Server, guard: ConnectionGuard, **options: Any) -> None:
        super().__init__(server, **options)
        self._guard = guard
        self._admitted = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._request: web.BaseRequest | None = None
        self._peer_ended = False
        self._is_paused = False
        self._framer = RequestFramer()
        self.was_refused = False
        """Whether its last answer was not 200."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection, or close it at once when there are too many."""
        self._admitted = self._guard.admit(self)
        if not self._admitted:
            transport.close()
            return
        super().connection_made(transport)
        self._head_timer = asyncio.get_running_loop().call_later(self._guard.head_timeout, self._end_head)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another connection."""
        if not self._admitted:
            return
        self._admitted = False
        self._guard.leave(self)
        self._cancel_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what the peer sent, one request at a time, repaired where aiohttp would refuse a genuine callback."""
        for piece in self._framer.feed(data):
            super().data_received(piece)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's meaning: True keeps the connection open
        """Answer what a sender that closes its side has sent completely, then close the connection."""
        if self._is_incomplete:
            return False
        self._peer_ended = True
        self._close_soon()
        return True

    def pause_reading(self) -> None:
        """Stop reading from the socket: the sender is faster than the handler."""
        self._is_paused = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Read on after a pause. aiohttp asks for it after each body, and would parse nothing once more each time."""
        if self._is_paused:
            self._is_paused = False
            super().resume_reading(resume_parser)

    def begin(self, request: web.BaseRequest) -> None:
        """Note that ``request`` is being answered."""
        self._request = request
        self._cancel_head_timer()

    def waits_for_its_peer(self) -> bool:
        """Return whether it is idle, or the peer has still to send the rest of a request or to take answers."""
        return self._request is None or self._is_incomplete or self.writing_paused

    @property
    def _is_incomplete(self) -> bool:
        """Return whether a part of the body that is being read is still to come."""
        return self._request is not None and not self._request.content.is_eof()

    @property
    def has_left(self) -> bool:
        """Return whether the peer has closed its side: a client that does so rarely waits for an answer."""
        return self._peer_ended or self.transport is None

    def give_way(self) -> None:
        """Close at once, whatever the peer has still to take."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer. Of a body that was not read to its end, the rest stays in the sender's buffers.

        The pause lets the sender take the answer: closing at once, with data unread, would make the kernel discard it.
        """
        sent = await super().finish_response(request, resp, start_time)
        self._request = None
        if request.content.is_eof():
            self._framer.end_request()
        self._guard.answered(self)
        if self._peer_ended:
            self._close_soon()
        if not request.content.is_eof():
            await asyncio.sleep(LINGERING_SECONDS)
        return sent

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - part of aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - part of aiohttp's signature
    ) -> web.StreamResponse:
        """Answer 400 to what is not HTTP; 503, with one traceback, to what our own code did not foresee."""
        if status < 500:  # noqa: PLR2004 - the HTTP status
            self._guard.refuse("line-too-long" if isinstance(exc, LineTooLong) else "bad-request")
            return PreparedResponse(status, closes=True)
        self.logger.error("request failed", exc_info=exc)
        return PreparedResponse(503, headers={"Retry-After": "5"}, closes=True)

    def _end_head(self) -> None:
        """Close a connection whose first head did not end in time."""
        self._guard.refuse("head-timeout")
        self.force_close()

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close_soon(self) -> None:
        asyncio.get_running_loop().call_later(HALF_CLOSED_SECONDS, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._request is None or self._is_incomplete:  # of an incomplete one, the rest will never come
            self.force_close()


class GuardedServer(web.Server):
    """aiohttp's low-level server whose connections are guarded.

    It never decompresses a body: ``payload_hash`` is over the bytes on the wire, and nothing can be inflated.
    """

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], guard: ConnectionGuard
    ) -> None:
        super().__init__(handler, request_factory=_begin_request)
        self._guard = guard

    def __call__(self) -> web.RequestHandler:
        """Make the protocol of a new connection."""
        return GuardedConnection(
            self,
            self._guard,
            loop=asyncio.get_running_loop(),
            access_log=None,
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=0.0,  # ours instead: aiohttp would read on meanwhile
            read_bufsize=READ_BUFFER_BYTES,
            auto_decompress=False,
            max_line_size=LINE_LIMIT_BYTES,
        )


def sender_of(request: web.BaseRequest) -> GuardedConnection:
    """Return the connection of a request."""
    return cast("GuardedConnection", request.protocol)


def _begin_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    request = web.BaseRequest(message, payload, protocol, writer, task, task.get_loop())
    if isinstance(protocol, GuardedConnection):
        protocol.begin(request)
    return request
