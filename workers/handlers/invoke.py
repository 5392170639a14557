"""Call plain handlers in the threads of an engine, and any handler in the main thread, within their timeouts."""

import asyncio
import contextlib
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from ackfirst.shared.nexmo.event import Event
from ackfirst.workers.handlers.context import Context
from ackfirst.workers.handlers.deadline import NEVER, ThreadDeadline, within
from ackfirst.workers.handlers.handler import Handler
from ackfirst.workers.handlers.verdicts import HandlerTimeout
from ackfirst.workers.processing.dispatch import Attempt, AttemptResult

#: Seconds that an async handler, or what it left behind, has to end after its cancellation, before it is given up.
BACKSTOP_SECONDS: Final = 2.0


class Invoker:
    """Calls one handler at a time in the main thread: under a stock RQ worker, and in a child of ``--isolate``."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """Cancel what handlers left running, as far as it lets itself be cancelled, and close the loop."""
        with contextlib.suppress(HandlerTimeout):
            within(BACKSTOP_SECONDS, self._runner.close)

    def __call__(self, handler: Handler, event: Event, context: Context) -> object:
        """Run one attempt to its end; what the handler returned.

        Raises:
            HandlerTimeout: It took longer than ``handler.timeout``.
            BaseException: Whatever the handler raises.
        """
        call = partial(handler.function, *arguments_of(handler, event, context))
        returned = call() if handler.is_async else within(handler.timeout, call)
        return self._run(returned, handler.timeout) if inspect.isawaitable(returned) else returned

    def _run(self, awaitable: Awaitable[Any], seconds: float) -> object:
        loop = self._runner.get_loop()
        task = loop.create_task(bounded(awaitable, seconds))
        try:
            return within(seconds + BACKSTOP_SECONDS, lambda: loop.run_until_complete(task))
        finally:
            let_go(task)


class PlainInvoker(Protocol):
    """Makes attempts in the threads of an engine."""

    runs_async: bool
    """Whether it runs async handlers too."""
    deadlines: Sequence[ThreadDeadline | None]
    """Of each thread, by its number; empty when it enforces timeouts itself."""

    @property
    def is_alive(self) -> bool:
        """Return whether it can make attempts."""

    def enter(self, number: int) -> None:
        """Prepare the calling thread, which has this number."""

    def excuse(self, number: int) -> None:
        """Tell the supervisor that the engine itself sees to the handler that is late in this thread."""

    def close(self) -> None:
        """Break off what can be broken off."""

    def __call__(self, attempt: Attempt) -> AttemptResult | Awaitable[Any]:
        """Make the attempt; its result, or what the handler returned when that is to be awaited."""


class ThreadInvoker:
    """Calls plain handlers in the threads of a pool, each within its timeout.

    ``publish`` hears each thread's number and deadline: ``DeadlineBoard`` shows them to the supervisor.
    """

    runs_async = False
    is_alive = True

    def __init__(
        self, threads: int, *, publish: Callable[[int, float], None] = lambda _number, _deadline: None
    ) -> None:
        self._publish = publish
        self._here = threading.local()
        self._deadlines: list[ThreadDeadline | None] = [None] * threads
        self.deadlines: Sequence[ThreadDeadline | None] = self._deadlines

    def enter(self, number: int) -> None:
        """Prepare the calling thread, which has this number."""
        deadline = ThreadDeadline(publish=partial(self._publish, number))
        self._deadlines[number] = self._here.deadline = deadline

    def excuse(self, number: int) -> None:
        """Tell the supervisor that the engine itself sees to the handler that is late in this thread."""
        self._publish(number, NEVER)

    def close(self) -> None:
        """Do nothing: a thread cannot be ended from outside."""

    def __call__(self, attempt: Attempt) -> AttemptResult | Awaitable[Any]:
        """Make the attempt; its result, or what the handler returned when that is to be awaited."""
        handler = attempt.handler
        is_awaitable = False

        def call() -> object:
            nonlocal is_awaitable
            returned = handler.function(*arguments_of(handler, attempt.event, attempt.context))
            # Asked here, where an exception is the handler's: a lazy object's class is code of the user's, too.
            is_awaitable = returned is not None and inspect.isawaitable(returned)
            return returned

        started, began = time.time(), time.monotonic()
        error, returned = self._here.deadline.run(handler.timeout, call)
        if error is None and is_awaitable:
            awaitable: Awaitable[Any] = returned
            return awaitable
        return AttemptResult(error, started, time.monotonic() - began, returned)


def arguments_of(handler: Handler, event: Event, context: Context) -> tuple[Any, ...]:
    """Return the arguments that a handler takes."""
    return (event, context) if handler.takes_context else (event,)


def let_go(task: asyncio.Task[Any]) -> None:
    """Cancel a task that has not ended; of one that has, read the error."""
    if not task.done():
        task.cancel()
    elif not task.cancelled():
        task.exception()  # read once, so that asyncio does not report it a second time


async def bounded(awaitable: Awaitable[Any], seconds: float) -> Any:
    """Await something for so many seconds at the most.

    Raises:
        HandlerTimeout: It took longer.
    """
    limit = asyncio.timeout(seconds)
    # A TimeoutError of the handler's own stays what it is; only ours becomes a HandlerTimeout.
    try:
        async with limit:
            return await awaitable
    except TimeoutError:
        if limit.expired():
            raise HandlerTimeout(seconds) from None
        raise
