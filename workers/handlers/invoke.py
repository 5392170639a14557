"""Call handlers within their timeouts: plain ones in threads, async ones on an event loop."""

import asyncio
import contextlib
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from ackfirst.shared.nexmo.event import Event
from ackfirst.workers.handlers.context import Context
from ackfirst.workers.handlers.deadline import AGAIN_SECONDS, NEVER, ThreadDeadline, raise_timeout_in, within
from ackfirst.workers.handlers.handler import Handler
from ackfirst.workers.handlers.verdicts import HandlerTimeout
from ackfirst.workers.processing.dispatch import Attempt, AttemptResult

#: Seconds that an async handler, or what it left behind, has to end after its cancellation, before it is given up.
BACKSTOP_SECONDS: Final = 2.0
#: Seconds without an answer of the event loop after which a handler that is late counts as the one that holds it.
HELD_SECONDS: Final = 0.5
#: Seconds between two looks for async handlers that do not end after their cancellation.
SWEEP_SECONDS: Final = 0.5


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
        call = partial(handler.function, *_arguments(handler, event, context))
        returned = call() if handler.is_async else within(handler.timeout, call)
        return self._run(returned, handler.timeout) if inspect.isawaitable(returned) else returned

    def _run(self, awaitable: Awaitable[Any], seconds: float) -> object:
        loop = self._runner.get_loop()
        task = loop.create_task(_bounded(awaitable, seconds))
        try:
            return within(seconds + BACKSTOP_SECONDS, lambda: loop.run_until_complete(task))
        finally:
            _let_go(task)


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
            returned = handler.function(*_arguments(handler, attempt.event, attempt.context))
            # Asked here, where an exception is the handler's: a lazy object's class is code of the user's, too.
            is_awaitable = returned is not None and inspect.isawaitable(returned)
            return returned

        started, began = time.time(), time.monotonic()
        error, returned = self._here.deadline.run(handler.timeout, call)
        if error is None and is_awaitable:
            awaitable: Awaitable[Any] = returned
            return awaitable
        return AttemptResult(error, started, time.monotonic() - began, returned)


@dataclass(slots=True, eq=False)
class _Waiting:
    """An attempt that is under way, or about to begin."""

    attempt: Attempt
    then: Callable[[AttemptResult], None]
    awaitable: Any
    """What a plain handler returned; None to call the handler."""
    started: float = 0.0
    """Unix seconds."""
    began: float = 0.0
    """Monotonic seconds."""

    @property
    def end(self) -> float:
        """Monotonic seconds of its deadline."""
        return self.began + self.attempt.handler.timeout


class AsyncInvoker:
    """Runs async handlers on one event loop, in a thread of its own, as long as the engine: they may keep sessions.

    The thread starts with the first attempt.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: list[_Waiting] = []
        self._is_called = False
        self._waiting: dict[asyncio.Task[Any], _Waiting] = {}
        self._sweeping = False
        self._closing = False
        self._asked = 0.0
        self._answered = 0.0
        self._raised = 0.0
        self._holder: asyncio.Task[Any] | None = None
        self.held_since: float | None = None
        """Monotonic seconds since when a late handler has held the loop, in spite of a ``HandlerTimeout``."""

    def start(self, attempt: Attempt, then: Callable[[AttemptResult], None], awaitable: object = None) -> None:
        """Begin an attempt; ``then`` is called with its result, in the thread of the loop."""
        with self._lock:
            if self._loop is None:
                self._loop = self._start_thread()
            self._pending.append(_Waiting(attempt, then, awaitable))
            if self._is_called:
                return
            self._is_called = True
        self._loop.call_soon_threadsafe(self._start_pending)

    @property
    def is_running(self) -> bool:
        """Return whether attempts are under way."""
        return bool(self._waiting or self._pending)

    def close(self) -> bool:
        """Cancel what is under way, and end the thread; whether it has ended."""
        if self._thread is None or self._loop is None:
            return True
        self._closing = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(BACKSTOP_SECONDS)
        return not self._thread.is_alive()

    def check(self, now: float) -> None:
        """Break off a handler that holds the loop beyond its deadline. For the monitor; ``now`` is monotonic."""
        loop, thread = self._loop, self._thread
        waiting = list(self._waiting.values())
        if loop is None or thread is None or not waiting:
            self.held_since = None
            return
        if self._answered >= self._asked:
            self.held_since = None
            self._asked = now
            loop.call_soon_threadsafe(self._answer)
            return
        if now - self._asked < HELD_SECONDS or now < min(one.end for one in waiting) + HELD_SECONDS:
            return
        holder = asyncio.current_task(loop)
        if self.held_since is None or holder is not self._holder:  # one task after another may hold it
            self.held_since, self._holder, self._raised = now, holder, 0.0
        if now - self._raised >= AGAIN_SECONDS and thread.ident is not None:
            self._raised = now
            raise_timeout_in(thread.ident)

    def holder(self) -> Attempt | None:
        """The attempt that holds the loop."""
        found = self._waiting.get(self._holder) if self._holder else None
        return found.attempt if found else None

    def _start_thread(self) -> asyncio.AbstractEventLoop:
        loops: list[asyncio.AbstractEventLoop] = []
        ready = threading.Event()

        def run() -> None:
            with contextlib.suppress(BaseException), asyncio.Runner() as runner:
                loops.append(runner.get_loop())
                ready.set()
                while not self._closing:
                    # sys.exit() in a handler, of which its task tells, or a timeout that came too late for it.
                    with contextlib.suppress(BaseException):
                        loops[0].run_forever()

        self._thread = threading.Thread(target=run, name="async-handlers", daemon=True)
        self._thread.start()
        ready.wait()
        return loops[0]

    def _answer(self) -> None:
        self._answered = time.monotonic()

    def _start_pending(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, []
            self._is_called = False
        for one in pending:
            one.started, one.began = time.time(), time.monotonic()
            try:
                awaitable = one.awaitable
                if awaitable is None:
                    attempt = one.attempt
                    awaitable = attempt.handler.function(*_arguments(attempt.handler, attempt.event, attempt.context))
                task = asyncio.get_running_loop().create_task(_bounded(awaitable, one.attempt.handler.timeout))
            except BaseException as error:  # noqa: BLE001 - of the handler's decorator, or of our own timeout
                one.then(AttemptResult(error, one.started, time.monotonic() - one.began))
                continue
            self._waiting[task] = one
            task.add_done_callback(self._note_end)
        if not self._sweeping and self._waiting:
            self._sweeping = True
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def _note_end(self, task: asyncio.Task[Any]) -> None:
        one = self._waiting.pop(task, None)
        if one is None:  # given up before
            _let_go(task)
            return
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        returned = None if error is not None else task.result()
        if isinstance(error, HandlerTimeout):
            error = HandlerTimeout(one.attempt.handler.timeout).with_traceback(error.__traceback__)
        one.then(AttemptResult(error, one.started, time.monotonic() - one.began, returned))

    def _sweep(self) -> None:
        """Give up the attempts that a cancellation has not ended."""
        now = time.monotonic()
        for task, one in list(self._waiting.items()):
            if now >= one.end + BACKSTOP_SECONDS:
                del self._waiting[task]
                _let_go(task)
                seconds = one.attempt.handler.timeout
                one.then(AttemptResult(HandlerTimeout(seconds), one.started, now - one.began))
        self._sweeping = bool(self._waiting)
        if self._sweeping:
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)


def _arguments(handler: Handler, event: Event, context: Context) -> tuple[Any, ...]:
    return (event, context) if handler.takes_context else (event,)


def _let_go(task: asyncio.Task[Any]) -> None:
    if not task.done():
        task.cancel()
    elif not task.cancelled():
        task.exception()  # read once, so that asyncio does not report it a second time


async def _bounded(awaitable: Awaitable[Any], seconds: float) -> Any:
    limit = asyncio.timeout(seconds)
    # A TimeoutError of the handler's own stays what it is; only ours becomes a HandlerTimeout.
    try:
        async with limit:
            return await awaitable
    except TimeoutError:
        if limit.expired():
            raise HandlerTimeout(seconds) from None
        raise
