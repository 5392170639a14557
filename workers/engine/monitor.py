"""Watch handlers from outside their threads: end those that are late, and give back what waits behind slow ones."""

import time
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from ackfirst.shared.processes.periodic import PeriodicThread
from ackfirst.workers.engine.deadline_board import WEDGE_GRACE_SECONDS
from ackfirst.workers.engine.handler_run import HandlerRun
from ackfirst.workers.engine.in_flight import InFlightStore
from ackfirst.workers.engine.run import Runner
from ackfirst.workers.handlers.deadline import NEVER
from ackfirst.workers.handlers.invoke import PlainInvoker

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from ackfirst.workers.engine.fetched_job import FetchedJob

#: Seconds between two looks: a job that waits is given back after one to two of them without progress.
LOOK_SECONDS: Final = 0.05
#: Seconds for which the monitor waits for a fetch to end before it gives jobs back; it tries again at the next look.
MOVING_SECONDS: Final = 0.02


class SlowHandlerMonitor:
    """A thread that raises timeouts, gives back what waits behind slow handlers, and finds handlers that do not end.

    A handler that ignores its timeout for ``WEDGE_GRACE_SECONDS`` cannot be ended: nothing but the end of the process
    frees its thread. ``wedged`` says so.
    """

    def __init__(
        self,
        runner: Runner,
        store: InFlightStore,
        invoke: PlainInvoker,
        *,
        log: "FilteringBoundLogger",
    ) -> None:
        self._runner = runner
        self._store = store
        self._invoke = invoke
        self._log = log
        self._begun = -1
        self._unreleased: list[FetchedJob] = []
        self.wedged: dict[str, str] = {}
        """Id of a job that does not end → its handler."""
        self.thread = PeriodicThread(self._look, seconds=LOOK_SECONDS, name="monitor")
        """Looks while it runs."""

    def _look(self) -> None:
        now = time.monotonic()
        self._look_at_threads(now)
        self._look_at_loop(now)
        self._relieve(now)

    def _look_at_threads(self, now: float) -> None:
        for number, deadline in enumerate(self._invoke.deadlines):
            if deadline is None or now < deadline.deadline:
                continue
            late = now - deadline.deadline
            deadline.expire(now)
            run = self._runner.pool.running_in(number)
            if late >= WEDGE_GRACE_SECONDS and deadline.deadline < NEVER and run is not None:
                self._invoke.excuse(number)
                self._note_wedged(run)

    def _look_at_loop(self, now: float) -> None:
        loop = self._runner.loop
        loop.check(now)
        if loop.held_since is not None and now - loop.held_since >= WEDGE_GRACE_SECONDS:
            attempt = loop.holder()
            if attempt is not None:
                self._note(attempt.event.id, attempt.handler.name)

    def _note_wedged(self, run: HandlerRun) -> None:
        self._note(run.job.job_id, run.attempt.handler.name)

    def _note(self, job_id: str, handler: str) -> None:
        if job_id not in self.wedged:
            self.wedged[job_id] = handler
            hint = "the process is replaced: ackfirst worker --isolate would have ended the handler alone"
            self._log.error("handler.wedged", job_id=job_id, handler=handler, hint=hint)

    def _relieve(self, now: float) -> None:
        """Give back what has waited since the last look, if no job has begun since then."""
        begun, self._begun = self._begun, self._runner.begun
        is_stuck = begun == self._begun and self._runner.waits_since(now - LOOK_SECONDS)
        if not (is_stuck or self._unreleased) or not self._runner.moving.acquire(timeout=MOVING_SECONDS):
            return
        try:
            if is_stuck:
                self._unreleased += self._runner.take_back()  # the younger ones too: each goes to the front of its lane
            self._store.release(self._unreleased)
            self._unreleased = []
        except RedisError as error:
            # Again at the next look. They must not run here after all: if only the answer was lost, they are in their
            # lanes, and run elsewhere.
            self._log.debug("relief.failed", error=repr(error))
        finally:
            self._runner.moving.release()
