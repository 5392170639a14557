"""The public HTTP side: from a request to a callback, and from an answer to a response. Nothing is decided here.

It stands on aiohttp's low-level server: five fixed paths need no router, and what is done here is paid per callback.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from aiohttp import StreamReader, hdrs, web
from aiohttp.http import HttpVersion11, RawRequestMessage
from multidict import istr
from yarl import URL

from ackfirst.ingest.body import BodyBroken, BodyBudgetSpent, BodyReader, BodyTimeout, BodyTooLarge
from ackfirst.ingest.http import Answer, Arrival
from ackfirst.ingest.wire import NAME, Reply, as_response, on_the_wire
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.family import WEBHOOKS
from ackfirst.shared.policy import Verdict

#: Every path takes every family, by GET, HEAD and POST: an account changes what it sends, and how, overnight.
WEBHOOK_PATHS: Final = frozenset(WEBHOOKS.values())
HEALTH_PATH: Final = "/healthz"

_TRACE: Final = istr("traceparent")

_WEBHOOK_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_EXPRESS_METHODS: Final = frozenset({"GET", "POST"})
_HEALTH_METHODS: Final = frozenset({"GET", "HEAD"})


class CallbackReceiver(Protocol):
    """The core. Never raises."""

    async def receive(self, arrival: Arrival) -> Answer:
        """Answer a callback."""

    def begin(self, arrival: Arrival, reply: Callable[[Answer], None]) -> None:
        """The same without a coroutine: ``reply`` is given the answer once, now or later."""

    def refuse(self, verdict: Verdict, reason: str) -> Answer:
        """Answer a callback whose body was not read to its end."""


class Edge:
    """Handles the requests of one process.

    Args:
        receiver: Decides.
        bodies: Reads bodies within limits.
        clock: Unix seconds.
        on_refuse: Is told why a request was refused before it was a callback.
    """

    def __init__(
        self,
        receiver: CallbackReceiver,
        bodies: BodyReader,
        *,
        clock: Callable[[], float],
        on_refuse: Callable[[str], None],
    ) -> None:
        self._receiver = receiver
        self._bodies = bodies
        self._clock = clock
        self._on_refuse = on_refuse
        self.open_requests = 0
        """Requests that are being answered at this moment."""
        self._stopping = False
        self._quiet = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self.open_requests += 1
        try:
            response = await self._respond(request)
        finally:
            self._close_request()
        response.headers["Server"] = NAME
        if self._stopping:
            response.force_close()
        return response

    async def drain(self) -> None:
        """From now on every answer closes its connection; returns when no request is open."""
        self._stopping = True
        while self.open_requests:
            self._quiet.clear()
            await self._quiet.wait()

    def express(self, message: RawRequestMessage, content: StreamReader, reply: Reply) -> bool:
        """Answer an ordinary callback that is complete already, without a request, a response or a task.

        Those are two thirds of what aiohttp spends on it. False when the request is anything else, for ``handle``.

        Args:
            message: The head.
            content: The body.
            reply: Is given the answer once, now or later: its bytes, and whether the connection ends with it.
        """
        url = message.url
        if (
            url.raw_path not in WEBHOOK_PATHS
            or message.method not in _EXPRESS_METHODS
            or message.version != HttpVersion11
            or message.should_close
            or message.upgrade
            or (body := self._bodies.take(content)) is None
        ):
            return False
        arrival = _arrival(message, url, body, self._clock())
        self.open_requests += 1
        self._receiver.begin(arrival, partial(self._send, reply))
        return True

    def _send(self, reply: Reply, answer: Answer) -> None:
        try:
            reply(on_the_wire(answer, now=self._clock(), last=self._stopping), self._stopping)
        finally:
            self._close_request()

    def _close_request(self) -> None:
        self.open_requests -= 1
        if self._stopping and not self.open_requests:
            self._quiet.set()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if path in WEBHOOK_PATHS:
            if request.method in _WEBHOOK_METHODS:
                return await self._take(request)
            return self._not_allowed(_WEBHOOK_METHODS)
        if path != HEALTH_PATH:
            return self._refused(404, "not-found")
        return web.Response(text="ok\n") if request.method in _HEALTH_METHODS else self._not_allowed(_HEALTH_METHODS)

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            body = await self._bodies.read(request)
        except BodyTooLarge:
            return _hang_up(as_response(self._receiver.refuse(Verdict.TOO_LARGE, "body-too-large")))
        except BodyBudgetSpent:
            return _hang_up(as_response(self._receiver.refuse(Verdict.UNAVAILABLE, "body-memory-spent")))
        except BodyTimeout:
            return _hang_up(self._refused(408, "body-timeout"))
        except BodyBroken:
            return _hang_up(self._refused(400, "body-broken"))
        return as_response(await self._receiver.receive(_arrival(request, request.rel_url, body, self._clock())))

    def _refused(self, status: int, reason: str) -> web.Response:
        self._on_refuse(reason)
        return web.Response(status=status)

    def _not_allowed(self, methods: frozenset[str]) -> web.Response:
        response = self._refused(405, "method")
        response.headers["Allow"] = ", ".join(sorted(methods))
        return response


def _arrival(request: web.BaseRequest | RawRequestMessage, url: URL, body: bytes, now: float) -> Arrival:
    headers = request.headers
    callback = Callback(
        request.method,
        url.raw_path,
        url.raw_query_string,
        headers.get(hdrs.CONTENT_TYPE, ""),
        headers.get(hdrs.AUTHORIZATION, ""),
        body,
        now,
    )
    return Arrival(callback, headers.get(hdrs.USER_AGENT, ""), headers.get(_TRACE))


def _hang_up(response: web.Response) -> web.Response:
    response.force_close()
    return response
