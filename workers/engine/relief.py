"""The thread that helps when a handler takes long: what waits behind it goes to other engines."""

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from redis.exceptions import RedisError

from ackfirst.workers.engine.flow import Flow
from ackfirst.workers.engine.holding import Holding

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Seconds for which one job may hold the engine before the others are given back; twice that at the most.
PATIENCE: Final = 0.05


class Relief:
    """Looks at a busy flow; sleeps while it is idle."""

    def __init__(self, flow: Flow, holding: Holding, *, log: "FilteringBoundLogger") -> None:
        self._flow = flow
        self._holding = holding
        self._log = log
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="relief", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._flow.busy.set()
        self._thread.join()

    def _watch(self) -> None:
        before: tuple[str | None, int] | None = None
        while not self._closing.is_set():
            if not self._flow.busy.is_set():
                before = None
                self._flow.busy.wait()
            self._closing.wait(PATIENCE)
            now = self._flow.current, self._flow.begun
            if now == before and now[0] is not None:
                self._relieve()
            before = now

    def _relieve(self) -> None:
        try:
            self._holding.relieve()
        except RedisError as error:
            self._log.debug("relief.failed", error=repr(error))
