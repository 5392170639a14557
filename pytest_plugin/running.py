"""Run handlers within the test, with the dispatcher, registry and completion marks of a worker."""

import asyncio
import inspect
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from ackfirst import Context
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.settings import Settings
from ackfirst.workers.handlers.handler import Handler
from ackfirst.workers.handlers.loader import load
from ackfirst.workers.handlers.registry import Registry
from ackfirst.workers.processing.dispatch import Clock, Dispatcher
from ackfirst.workers.processing.outcome import EventEnding
from ackfirst.workers.processing.retry import Schedule

if TYPE_CHECKING:
    from ackfirst.workers.processing.marks import Mark


@dataclass(frozen=True, slots=True)
class Handled:
    """One attempt of a handler."""

    event: Event
    handler: str
    """``module.function``."""
    attempt: int
    """From 1."""
    error: BaseException | None
    """The exception that it raised."""


class Running:
    """The handlers under test, their attempts so far, and their retries."""

    def __init__(self, settings: Settings, clock: Clock, *, folder: Path) -> None:
        self.handled: list[Handled] = []
        self._settings = settings
        self._folder = folder
        self._modules: dict[str, None] = {}
        self._registry = Registry()
        self._marks: dict[str, dict[str, Mark]] = {}
        self._due: dict[str, tuple[float, Event]] = {}
        self._runner = asyncio.Runner()
        schedule = Schedule(settings.retry_schedule, random=lambda: 0.5)  # the middle of the range: no jitter
        log = partial(structlog.get_logger, "ackfirst.workers.handlers.handler")
        self._dispatcher = Dispatcher(self._invoke, schedule, clock=clock, log=log)

    def close(self) -> None:
        """Close the event loop of async handlers."""
        self._runner.close()

    def use(self, *modules: str) -> None:
        """Add the handlers of these modules.

        Raises:
            ConfigurationError: One cannot be imported, or a handler in it cannot work.
        """
        self._modules |= dict.fromkeys(modules)
        self._registry = load(
            self._modules,
            timeout=self._settings.handler_timeout,
            job_timeout=self._settings.job_timeout,
            retries=len(self._settings.retry_schedule),
            folder=self._folder,
        )

    def run(self, event: Event) -> str:
        """Run the handlers of the event that are due; return the outcome."""
        marks = self._marks.setdefault(event.id, {})
        report = self._dispatcher.dispatch(
            event,
            self._registry.matching(event),
            dict(marks),
            marks.__setitem__,
            budget=self._settings.job_timeout,
        )
        marks |= {name: mark for name, mark in report.marks.items() if mark is not None}
        self._due.pop(event.id, None)
        if report.ending is EventEnding.RETRIED:
            self._due[event.id] = (report.next_attempt, event)
        return report.ending.value

    def next_retry(self) -> float | None:
        """Return the Unix seconds of the earliest retry; None without one."""
        return min((due for due, _ in self._due.values()), default=None)

    def retry(self, now: float) -> None:
        """Run the retries that are due by then."""
        for event in [event for due, event in self._due.values() if due <= now]:
            self.run(event)

    def _invoke(self, handler: Handler, event: Event, context: Context) -> None:
        error: BaseException | None = None
        try:
            arguments = (event, context) if handler.takes_context else (event,)
            returned = handler.function(*arguments)
            if inspect.iscoroutine(returned):
                self._finish(returned)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self.handled.append(Handled(event, handler.name, context.attempt, error))

    def _finish(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run an async handler to its end; in a thread if the test is async, because its loop runs the test."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._runner.run(coroutine)
            return
        raised: list[BaseException] = []

        def run() -> None:
            try:
                self._runner.run(coroutine)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread of the test
                raised.append(error)

        thread = threading.Thread(target=run, name="async-handler", daemon=True)
        thread.start()
        thread.join()
        if raised:
            raise raised[0]
