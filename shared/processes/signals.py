"""Wait for signals: the main thread sleeps until one arrives or a time has passed."""

import select
import signal
import socket
from types import FrameType, TracebackType
from typing import Final, Self

#: Signals that ask a process to stop. SIGHUP: its terminal was closed; if it is ignored (``nohup``), it stays ignored.
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class SignalInbox:
    """Collects stop signals and wakes for ended children while its ``with`` block runs (main thread only).

    ``stop_requests`` counts the stop signals so far. Exit restores the handlers and the wake-up descriptor.
    """

    def __init__(self) -> None:
        self.stop_requests = 0

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0)
        self._writer.settimeout(0)
        self._former_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        wanted = [signum for signum in STOP_SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]
        self._former = {signum: signal.signal(signum, self._stop) for signum in wanted}
        # Only a signal with a Python handler reaches the wake-up descriptor.
        self._former[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _only_wake)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._former.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._former_fd)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float | None) -> None:
        """Return at the next signal, or after ``seconds`` (None: only at a signal)."""
        if select.select([self._reader], [], [], seconds)[0]:
            self._reader.recv(4096)

    def _stop(self, _signum: int, _frame: FrameType | None) -> None:
        self.stop_requests += 1


def _only_wake(_signum: int, _frame: FrameType | None) -> None:
    """Do nothing: the wake-up descriptor has woken ``wait``."""
