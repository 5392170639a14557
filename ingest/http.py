"""The public HTTP side: turn a request into a callback, and an answer into a response. Decide nothing else here.

Built on aiohttp's low-level server: a handful of fixed paths needs no router, and every step is paid per callback.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, Protocol

import orjson
from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion11
from multidict import istr

from ackfirst.ingest.admission import Admission, Sender
from ackfirst.ingest.body import BodyBrokenError, BodyMemoryError, BodyReader, BodyTimeoutError, BodyTooLargeError
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.family import WEBHOOKS
from ackfirst.shared.policy import Policy, Verdict, ruling
from ackfirst.shared.record import record

#: Every path takes every family, by GET, HEAD and POST: an account changes what it sends, and how, overnight.
WEBHOOK_PATHS: Final = frozenset(WEBHOOKS.values())
HEALTH_PATH: Final = "/healthz"

#: The ``Server`` header of every response. aiohttp's own names the exact versions of Python and aiohttp.
SERVER_NAME: Final = "ackfirst"

_TRACEPARENT: Final = istr("traceparent")
_WEBHOOK_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_HEALTH_METHODS: Final = frozenset({"GET", "HEAD"})


@record
class Arrival:
    """A callback, with the headers that are kept as evidence only."""

    callback: Callback
    user_agent: str = ""
    trace: str | None = None
    """W3C ``traceparent``, if the request had one."""
    is_webhook: bool = True
    """Whether it came to one of our webhook paths; elsewhere only what may be genuine is accepted."""


@record
class Answer:
    """The answer to one callback."""

    status: int
    """HTTP status."""
    error: str | None = None
    """Value of ``{"error": …}``; None for an empty body. Never says which check failed."""
    retry_after: int | None = None
    """Seconds for the ``Retry-After`` header; None for no header."""


#: Senders are not to learn how often a body came unsigned.
_PUBLIC_NAMES: Final = {Verdict.UNSIGNED_AGAIN: Verdict.UNSIGNED.value}


@cache
def answer_for(verdict: Verdict, policy: Policy) -> Answer:
    """Look up what ``policy`` answers to ``verdict``."""
    row = ruling(verdict, policy)
    error = None if row.status == HTTPStatus.OK else _PUBLIC_NAMES.get(verdict, verdict.value)
    return Answer(row.status, error, row.retry_after)


class PreparedResponse(web.StreamResponse):
    """A response whose bytes are made once a second and sent in one write; stateless, so all requests share one.

    aiohttp's own ``Response`` builds a header map and serialises it for each request: an empty handler answers 1.5
    times as many requests with this class. Overrides only the public ``prepare``, ``write_eof`` and ``keep_alive``.

    Args:
        status: HTTP status.
        body: Sent to every method but HEAD.
        headers: Beside ``Content-Length``, ``Date`` and ``Server``.
        closes: Whether the connection ends with this response.
    """

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        closes: bool = False,
    ) -> None:
        super().__init__(status=status)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", f"Server: {SERVER_NAME}"]
        if closes:
            lines.append("Connection: close")
        self._fixed_lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines]
        self._content = body
        self._closes = closes
        self._second = 0
        self._head = b""

    @property
    def keep_alive(self) -> bool:
        """Return whether the connection stays open; aiohttp asks once the response is sent."""
        return not self._closes

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the whole response.

        Raises:
            ConnectionResetError: The sender has gone; aiohttp ends the connection without a traceback.
        """
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the sender has closed the connection")
        head = self._head_of_this_second()
        transport.write(head if request.method == hdrs.METH_HEAD else head + self._content)
        if request.protocol.writing_paused:  # a sender that reads no answers gets no more than its buffer holds
            await request.writer.drain()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: ``prepare`` has sent everything."""

    def _head_of_this_second(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._head = "\r\n".join([*self._fixed_lines, f"Date: {formatdate(second, usegmt=True)}", "\r\n"]).encode()
        return self._head


def _error_body(error: str) -> bytes:
    return orjson.dumps({"error": error})


@cache
def _response(answer: Answer, *, closes: bool) -> PreparedResponse:
    headers: dict[str, str] = {} if answer.retry_after is None else {hdrs.RETRY_AFTER: str(answer.retry_after)}
    if answer.error is None:
        return PreparedResponse(answer.status, headers=headers, closes=closes)
    headers[hdrs.CONTENT_TYPE] = "application/json"
    return PreparedResponse(answer.status, _error_body(answer.error), headers, closes=closes)


class CallbackReceiver(Protocol):
    """The core behind the HTTP side. Never raises."""

    async def receive(self, arrival: Arrival) -> Answer:
        """Answer a callback."""

    def refuse(self, verdict: Verdict, reason: str, *, path: str) -> Answer:
        """Answer a callback whose body was not read to its end."""


class RefusalRecorder(Protocol):
    """Counts and logs what is refused before it is a callback."""

    def __call__(self, reason: str, /, *, path: str | None = None) -> None:
        """Record one refusal; ``reason`` is one of a few fixed words."""


class Edge:
    """Answers the requests of one process.

    Args:
        receiver: Decides.
        bodies: Reads bodies within limits.
        clock: Unix seconds.
        on_refuse: Called for each request that is refused before it is a callback.
        sender_of: The connection of a request.
        base_path: What stands in front of ``/webhooks/…`` and ``/healthz`` where a proxy does not take it off.
    """

    def __init__(
        self,
        receiver: CallbackReceiver,
        bodies: BodyReader,
        *,
        clock: Callable[[], float],
        on_refuse: RefusalRecorder,
        sender_of: Callable[[web.BaseRequest], Sender],
        base_path: str = "",
    ) -> None:
        self._receiver = receiver
        self._bodies = bodies
        self._clock = clock
        self._on_refuse = on_refuse
        self._sender_of = sender_of
        self._admission = Admission()
        prefixes = ("", base_path.rstrip("/"))
        self._webhooks = frozenset(a + path + z for a in prefixes for path in WEBHOOK_PATHS for z in ("", "/"))
        self._health = frozenset(prefix + HEALTH_PATH for prefix in prefixes)
        self.open_requests = 0
        """Requests that are being answered at this moment."""
        self._stopping = False
        self._quiet = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self.open_requests += 1
        path = request.rel_url.raw_path
        try:
            return await self._respond(request, path)
        except BodyTooLargeError:
            return _response(self._receiver.refuse(Verdict.TOO_LARGE, "body-too-large", path=path), closes=True)
        except BodyMemoryError:
            return _response(self._receiver.refuse(Verdict.UNAVAILABLE, "body-memory-spent", path=path), closes=True)
        except BodyTimeoutError:
            return self._refused(request, 408, "body-timeout", closes=True)
        except BodyBrokenError:
            return self._refused(request, 400, "body-broken", closes=True)
        finally:
            self.open_requests -= 1
            if self._stopping and not self.open_requests:
                self._quiet.set()

    async def drain(self) -> None:
        """Close every connection with its next answer; return when no request is open."""
        self._stopping = True
        while self.open_requests:
            self._quiet.clear()
            await self._quiet.wait()

    async def _respond(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if path in self._health:
            if request.method in _HEALTH_METHODS:
                return PreparedResponse(200, b"ok\n", {hdrs.CONTENT_TYPE: "text/plain"}, closes=self._closes(request))
            return self._refused(request, 405, "method", allow=_HEALTH_METHODS)
        sender = self._sender_of(request)
        if not await self._admission.enter(sender):
            return _response(self._receiver.refuse(Verdict.UNAVAILABLE, "sender-gone", path=path), closes=True)
        sender.was_refused = True  # until it is answered 200
        is_webhook = path in self._webhooks
        if request.method not in _WEBHOOK_METHODS and is_webhook:
            return self._refused(request, 405, "method", allow=_WEBHOOK_METHODS)
        if not is_webhook and not _may_be_callback(request):
            return self._refused(request, 404, "not-found")
        body = await self._bodies.read(request)
        answer = await self._receiver.receive(_arrival(request, body, self._clock(), is_webhook=is_webhook))
        sender.was_refused = answer.status != HTTPStatus.OK
        return _response(answer, closes=self._closes(request))

    def _closes(self, request: web.BaseRequest) -> bool:
        """Return whether the connection ends with this request's answer. HTTP/1.0 would need a header to stay open."""
        return self._stopping or not request.keep_alive or request.version != HttpVersion11

    def _refused(
        self,
        request: web.BaseRequest,
        status: int,
        reason: str,
        *,
        allow: frozenset[str] = frozenset(),
        closes: bool = False,
    ) -> PreparedResponse:
        self._on_refuse(reason, path=request.rel_url.raw_path)
        headers: dict[str, str] = {hdrs.ALLOW: ", ".join(sorted(allow))} if allow else {}
        return PreparedResponse(status, headers=headers, closes=closes or self._closes(request))


def _may_be_callback(request: web.BaseRequest) -> bool:
    """Return whether a request to an unknown path has anything that could be verified."""
    has_content = bool(request.rel_url.raw_query_string) or request.can_read_body
    return request.method in _WEBHOOK_METHODS and has_content


def _arrival(request: web.BaseRequest, body: bytes, now: float, *, is_webhook: bool) -> Arrival:
    headers, url = request.headers, request.rel_url
    callback = Callback(
        request.method,
        url.raw_path,
        url.raw_query_string,
        headers.get(hdrs.CONTENT_TYPE, ""),
        headers.get(hdrs.AUTHORIZATION, ""),
        body,
        now,
    )
    return Arrival(callback, headers.get(hdrs.USER_AGENT, ""), headers.get(_TRACEPARENT), is_webhook)
