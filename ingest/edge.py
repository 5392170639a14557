"""The public HTTP side: from a request to a callback, and from an answer to a response. Nothing is decided here.

It stands on aiohttp's low-level server: five fixed paths need no router, and what is done here is paid per callback.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import orjson
from aiohttp import web

from ingest.arrival import Answer, Arrival
from ingest.body import BodyBroken, BodyBudgetSpent, BodyReader, BodyTimeout, BodyTooLarge
from shared.nexmo.callback import WEBHOOKS, Callback
from shared.policy import Verdict

#: Every path takes every family, by GET, HEAD and POST: an account changes what it sends, and how, overnight.
WEBHOOK_PATHS: Final = frozenset(WEBHOOKS.values())
HEALTH_PATH: Final = "/healthz"

#: What answers: not which version of which library, as aiohttp would tell strangers.
_NAME: Final = "ackfirst"

_WEBHOOK_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_HEALTH_METHODS: Final = frozenset({"GET", "HEAD"})


class CallbackReceiver(Protocol):
    """The core. Never raises."""

    async def receive(self, arrival: Arrival) -> Answer:
        """Answer a callback."""

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
        self._quiet.set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self.open_requests += 1
        self._quiet.clear()
        try:
            response = await self._respond(request)
        finally:
            self.open_requests -= 1
            if not self.open_requests:
                self._quiet.set()
        response.headers["Server"] = _NAME
        if self._stopping:
            response.force_close()
        return response

    async def drain(self) -> None:
        """From now on every answer closes its connection; returns when no request is open."""
        self._stopping = True
        await self._quiet.wait()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if path in WEBHOOK_PATHS:
            if request.method in _WEBHOOK_METHODS:
                return await self._callback(request, path)
            return self._not_allowed(_WEBHOOK_METHODS)
        if path != HEALTH_PATH:
            return self._refused(404, "not-found")
        return web.Response(text="ok\n") if request.method in _HEALTH_METHODS else self._not_allowed(_HEALTH_METHODS)

    async def _callback(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        try:
            body = await self._bodies.read(request)
        except BodyTooLarge:
            return _hang_up(_response(self._receiver.refuse(Verdict.TOO_LARGE, "body-too-large")))
        except BodyBudgetSpent:
            return _hang_up(_response(self._receiver.refuse(Verdict.UNAVAILABLE, "body-memory-spent")))
        except BodyTimeout:
            return _hang_up(self._refused(408, "body-timeout"))
        except BodyBroken:
            return _hang_up(self._refused(400, "body-broken"))
        return _response(await self._receiver.receive(_arrival(request, path, body, self._clock())))

    def _refused(self, status: int, reason: str) -> web.Response:
        self._on_refuse(reason)
        return web.Response(status=status)

    def _not_allowed(self, methods: frozenset[str]) -> web.Response:
        response = self._refused(405, "method")
        response.headers["Allow"] = ", ".join(sorted(methods))
        return response


def _arrival(request: web.BaseRequest, path: str, body: bytes, now: float) -> Arrival:
    headers = request.headers
    callback = Callback(
        method=request.method,
        path=path,
        query=request.rel_url.raw_query_string,
        content_type=headers.get("Content-Type", ""),
        authorization=headers.get("Authorization", ""),
        body=body,
        received_at=now,
    )
    return Arrival(callback, headers.get("User-Agent", ""), headers.get("traceparent"))


def _response(answer: Answer) -> web.Response:
    if answer.error is None:
        return web.Response(status=answer.status)
    headers = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
    body = orjson.dumps({"error": answer.error})
    return web.Response(status=answer.status, body=body, content_type="application/json", headers=headers)


def _hang_up(response: web.Response) -> web.Response:
    response.force_close()
    return response
