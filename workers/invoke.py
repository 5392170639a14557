"""Calls a handler, plain or async, within its timeout."""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Final, Self

from shared.nexmo.event import Event
from workers.context import Context
from workers.deadline import within
from workers.handler import Handler
from workers.verdicts import HandlerTimeout

#: Seconds that an async handler, or what it left behind, has to end after its cancellation, before the alarm ends it.
BACKSTOP: Final = 2.0


class Invoker:
    """Runs all async handlers on one event loop that lives as long as the worker: they may keep their sessions."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what handlers left running, as far as it lets itself be cancelled, and close the loop."""
        with contextlib.suppress(HandlerTimeout):
            within(BACKSTOP, self._runner.close)

    def __call__(self, handler: Handler, event: Event, context: Context) -> None:
        """Run one attempt.

        Raises:
            HandlerTimeout: It took longer than ``handler.timeout``.
            BaseException: Whatever the handler raises.
        """
        arguments = (event, context) if handler.takes_context else (event,)
        returned = within(handler.timeout, lambda: handler.function(*arguments))
        if inspect.isawaitable(returned):
            self._run(returned, handler.timeout)

    def _run(self, awaitable: Awaitable[Any], seconds: float) -> None:
        loop = self._runner.get_loop()
        task = loop.create_task(_bounded(awaitable, seconds))
        try:
            within(seconds + BACKSTOP, lambda: loop.run_until_complete(task))
        finally:
            if not task.done():
                task.cancel()
            elif not task.cancelled():
                task.exception()  # read once, so that asyncio does not report it a second time


async def _bounded(awaitable: Awaitable[Any], seconds: float) -> None:
    limit = asyncio.timeout(seconds)
    # A TimeoutError of the handler's own stays what it is; only ours becomes a HandlerTimeout.
    try:
        async with limit:
            await awaitable
    except TimeoutError:
        if limit.expired():
            raise HandlerTimeout(seconds) from None
        raise
