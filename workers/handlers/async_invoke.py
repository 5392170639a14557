"""Call async handlers within their timeouts, all of an engine on one event loop."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ackfirst.workers.handlers.deadline import AGAIN_SECONDS, raise_timeout_in
from ackfirst.workers.handlers.invoke import BACKSTOP_SECONDS, arguments_of, bounded, let_go
from ackfirst.workers.handlers.verdicts import HandlerTimeout
from ackfirst.workers.processing.dispatch import Attempt, AttemptResult

#: Seconds without an answer of the event loop after which a handler that is late counts as the one that holds it.
HELD_SECONDS: Final = 0.5

#: Seconds between two looks for async handlers that do not end after their cancellation.
SWEEP_SECONDS: Final = 0.5


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
                    awaitable = attempt.handler.function(*arguments_of(attempt.handler, attempt.event, attempt.context))
                task = asyncio.get_running_loop().create_task(bounded(awaitable, one.attempt.handler.timeout))
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
            let_go(task)
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
                let_go(task)
                seconds = one.attempt.handler.timeout
                one.then(AttemptResult(HandlerTimeout(seconds), one.started, now - one.began))
        self._sweeping = bool(self._waiting)
        if self._sweeping:
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
