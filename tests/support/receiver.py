"""A tiny HTTP server with chosen answers: the other end of the simulator in tests."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from yarl import URL

from ackfirst.shared.accounts import Accounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.policy import Policy, ruling
from ackfirst.shared.verification import Verifier
from tests.support.factories import NOW

Answer = Callable[[Callback], Awaitable[int] | int]


@dataclass(slots=True)
class Receiver:
    """Everything that came, in order, without the simulator's probe."""

    url: URL
    callbacks: list[Callback] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0

    async def handle(self, request: web.Request, answer: Answer) -> web.Response:
        body = await request.read()
        callback = Callback(
            method=request.method,
            path=request.path,
            query=request.rel_url.raw_query_string,
            content_type=request.headers.get("Content-Type", ""),
            authorization=request.headers.get("Authorization", ""),
            body=body,
            received_at=NOW,
        )
        if callback.is_empty:
            return web.Response()
        self.callbacks.append(callback)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            status = answer(callback)
            return web.Response(status=status if isinstance(status, int) else await status)
        finally:
            self._at_once -= 1


@asynccontextmanager
async def receiver(answer: Answer) -> AsyncIterator[Receiver]:
    """A server on a free loopback port; ``answer`` gives each callback's status."""
    app = web.Application()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    found = Receiver(URL("http://127.0.0.1"))

    async def handle(request: web.Request) -> web.Response:
        return await found.handle(request, answer)

    app.router.add_route("*", "/{path:.*}", handle)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.url = URL.build(scheme="http", host="127.0.0.1", port=runner.addresses[0][1])
        yield found
    finally:
        await runner.cleanup()


def honest(accounts: Accounts, policy: Policy = Policy.NEVER_STALL, *, now: Callable[[], float] = time.time) -> Answer:
    """Answers by the verdict table, as ingest does, without remembering anything."""
    verifier = Verifier(accounts)

    def answer(callback: Callback) -> int:
        return ruling(verifier.verify(callback, now=now()).verdict, policy).status

    return answer


async def never() -> int:
    """An answer that does not come."""
    await asyncio.Event().wait()
    return 200
