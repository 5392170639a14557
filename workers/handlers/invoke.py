"""Calls a handler, plain or async, within its timeout."""

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from ackfirst.shared.nexmo.event import Event
from ackfirst.workers.handlers.context import Context
from ackfirst.workers.handlers.deadline import Alarm, within
from ackfirst.workers.handlers.handler import Handler
from ackfirst.workers.handlers.verdicts import ForcedStop, HandlerTimeout
from ackfirst.workers.processing.dispatch import Attempt, AttemptResult

#: Seconds that an async handler, or what it left behind, has to end after its cancellation, before the alarm ends it.
BACKSTOP: Final = 2.0
#: Seconds for which the first of many attempts that ended waits for company.
COMPANY: Final = 0.002


#: Runs a call within so many seconds.
Limit = Callable[[float, Callable[[], Any]], Any]


class Invoker:
    """Runs all async handlers on one event loop that lives as long as the worker: they may keep their sessions."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._alarm = Alarm()
        self._waiting: dict[asyncio.Task[None], _Waiting] = {}
        self._ended: list[tuple[_Waiting, AttemptResult]] = []
        self._wake: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what handlers left running, as far as it lets itself be cancelled, and close the loop."""
        self._alarm.close()
        with contextlib.suppress(HandlerTimeout):
            within(BACKSTOP, self._runner.close)

    def __call__(self, handler: Handler, event: Event, context: Context) -> None:
        """Run one attempt to its end.

        Raises:
            HandlerTimeout: It took longer than ``handler.timeout``.
            BaseException: Whatever the handler raises.
        """
        returned = _call(handler, event, context, within)
        if inspect.isawaitable(returned):
            self._run(returned, handler.timeout)

    def _run(self, awaitable: Awaitable[Any], seconds: float) -> None:
        loop = self._runner.get_loop()
        task = loop.create_task(_bounded(awaitable, seconds))
        try:
            within(seconds + BACKSTOP, lambda: loop.run_until_complete(task))
        finally:
            _let_go(task)

    def listen(self) -> None:
        """Be ready for ``start``, whatever handlers have done to the signal of the alarm."""
        self._alarm.listen()

    def start(self, attempt: Attempt, then: Callable[[AttemptResult], None]) -> bool:
        """Begin an attempt: True when it is over; False when it waits, and ``pump`` will call ``then`` at its end.

        Raises:
            BaseException: Whatever a plain handler raises, or the call of an async one.
        """
        returned = _call(attempt.handler, attempt.event, attempt.context, self._alarm)
        if not inspect.isawaitable(returned):
            return True
        seconds = attempt.handler.timeout
        task = self._runner.get_loop().create_task(_bounded(returned, seconds))
        self._waiting[task] = _Waiting(then, time.monotonic(), seconds)
        task.add_done_callback(self._note_end)
        return False

    @property
    def waiting(self) -> int:
        """How many attempts are under way."""
        return len(self._waiting)

    def pump(self, seconds: float) -> None:
        """Let the attempts go on until some have ended, ``seconds`` at the most, and tell of those.

        Raises:
            ForcedStop: The operator breaks it off.
        """
        if not self._waiting:
            return
        loop = self._runner.get_loop()
        self._wake = loop.create_future()
        handle = loop.call_later(seconds, self._rouse)
        longest = min(waiting.end for waiting in self._waiting.values()) + BACKSTOP - time.monotonic()
        try:
            wake = self._wake
            within(max(longest, COMPANY), lambda: loop.run_until_complete(wake))
        except ForcedStop:
            raise
        except BaseException:  # noqa: BLE001, S110 - sys.exit() in a handler, of which its task tells, or the alarm
            pass
        finally:
            handle.cancel()
        self._give_up()
        ended, self._ended = self._ended, []
        for waiting, ending in ended:
            waiting.then(ending)

    def cancel(self) -> None:
        """Give up all attempts that are under way; nobody is told."""
        for task in self._waiting:
            task.remove_done_callback(self._note_end)
            _let_go(task)
        self._waiting.clear()
        self._ended.clear()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        waiting = self._waiting.pop(task, None)
        if waiting is None:  # given up before
            _let_go(task)
            return
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._ended.append((waiting, AttemptResult(error, time.monotonic() - waiting.began)))
        if len(self._ended) > len(self._waiting):
            self._rouse()
        elif len(self._ended) == 1:
            task.get_loop().call_later(COMPANY, self._rouse)

    def _rouse(self) -> None:
        if self._wake and not self._wake.done():
            self._wake.set_result(None)

    def _give_up(self) -> None:
        """End the attempts that a cancellation has not ended."""
        now = time.monotonic()
        for task in [task for task, waiting in self._waiting.items() if now >= waiting.end + BACKSTOP]:
            waiting = self._waiting.pop(task)
            _let_go(task)
            self._ended.append((waiting, AttemptResult(HandlerTimeout(waiting.seconds), now - waiting.began)))


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An attempt that is under way; times in monotonic seconds."""

    then: Callable[[AttemptResult], None]
    began: float
    seconds: float
    """That it may take."""

    @property
    def end(self) -> float:
        return self.began + self.seconds


def _call(handler: Handler, event: Event, context: Context, limit: Limit) -> Any:
    arguments = (event, context) if handler.takes_context else (event,)
    if handler.is_async:  # only makes the coroutine
        return handler.function(*arguments)
    return limit(handler.timeout, lambda: handler.function(*arguments))


def _let_go(task: asyncio.Task[None]) -> None:
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
