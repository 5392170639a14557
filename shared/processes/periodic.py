"""Call something every few seconds from a thread of its own."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class PeriodicThread:
    """Calls ``task`` at once and then every few seconds while a ``with`` block runs, until it returns True.

    The thread is a daemon: a task that hangs does not keep the process from its end.
    """

    def __init__(
        self, task: Callable[[], object], *, seconds: float, name: str = "periodic", has_last_call: bool = False
    ) -> None:
        """``has_last_call``: the task is called once more when the block ends."""
        self._task = task
        self._seconds = seconds
        self._has_last_call = has_last_call
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wake(self) -> None:
        """Call the task now, and not when its time has come."""
        self._wake.set()

    def close(self, timeout: float | None = None) -> None:
        """End the thread, within ``timeout`` seconds if that is given."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            is_last = self._closing
            if is_last and not self._has_last_call:
                return
            if self._task() is True or is_last:
                return
            self._wake.wait(self._seconds)
            self._wake.clear()
