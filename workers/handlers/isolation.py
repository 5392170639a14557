"""``--isolate``: each attempt of a handler in a forked child: a crash, a leak or a hang is the child's alone."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.processes.parent_death import die_with
from ackfirst.workers.handlers.context import Context
from ackfirst.workers.handlers.handler import Handler
from ackfirst.workers.handlers.invoke import BACKSTOP, Invoker
from ackfirst.workers.handlers.isolated_result import HandlerDied, pack, unpack
from ackfirst.workers.handlers.verdicts import HandlerTimeout

#: Seconds after a handler's timeout in which the child may still end by itself; then it is killed, whatever it does.
GRACE: Final = BACKSTOP + 1.0
#: Bytes of a child's answer that are read at once.
CHUNK: Final = 65_536
#: Seconds between two looks at the child where the kernel has no file descriptor for a process.
POLL: Final = 0.01


class IsolatedInvoker:
    """Runs a handler like ``Invoker``, in a child that has nothing in common with this process but the code.

    The child is forked: modules are imported once, in this process. It opens connections of its own (redis-py does so
    by itself after a fork) and starts an event loop of its own.
    """

    def __call__(self, handler: Handler, event: Event, context: Context) -> None:
        """Run one attempt.

        Raises:
            HandlerTimeout: It took longer than ``handler.timeout``; if need be it was killed.
            HandlerDied: The child ended without an answer, by a signal or by ``os._exit``.
            Discard, RetryLater: What the handler raised.
            IsolatedError: Any other exception of the handler, under the name of its class, with its traceback.
        """
        reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            os.close(reader)
            _be_child(writer, parent, lambda: _run(handler, event, context))
        os.close(writer)
        ended = False
        try:
            answer, status = _wait(pid, reader, handler.timeout + GRACE)
            ended = True
        finally:
            if not ended:  # the operator breaks it off
                _kill(pid)
            os.close(reader)
        if status is None:
            raise HandlerTimeout(handler.timeout)
        if not answer:
            raise HandlerDied(_cause(status))
        error = unpack(answer)
        if error is not None:
            raise error


def _run(handler: Handler, event: Event, context: Context) -> None:
    invoke = Invoker()
    try:
        invoke(handler, event, context)
    finally:
        invoke.close()


def _be_child(writer: int, parent: int, work: Callable[[], None]) -> None:
    """Do the work, answer, and end without anything that the parent's end would do."""
    code = 1
    try:
        die_with(parent)
        for signum in (signal.SIGTERM, signal.SIGINT):  # Ctrl-C reaches all processes of a terminal
            signal.signal(signum, signal.SIG_IGN)
        try:
            work()
            answer = pack(None)
        except BaseException as error:  # noqa: BLE001 - sys.exit() too is only this handler's failure
            answer = pack(error)
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        view = memoryview(answer)
        while view:
            view = view[os.write(writer, view) :]
        code = 0
    finally:
        os._exit(code)


def _wait(pid: int, reader: int, seconds: float) -> tuple[bytes, int | None]:
    """The child's answer and its exit status; the status is None when it had to be killed.

    The end of the child counts, not that of the pipe: what the child has started may hold the pipe open.
    """
    deadline = time.monotonic() + seconds
    answer = bytearray()
    os.set_blocking(reader, False)
    with _Watched(pid, reader) as watched:
        while (left := deadline - time.monotonic()) > 0:
            watched.wait(left)
            _read(reader, answer)
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                _read(reader, answer)
                return bytes(answer), status
    _kill(pid)
    return b"", None


class _Watched:
    """Waits for the child's end or for its answer, whichever comes first."""

    def __init__(self, pid: int, reader: int) -> None:
        self._poll = select.poll()
        self._poll.register(reader, select.POLLIN)
        self._reader: int | None = reader
        self._process: int | None = None
        if hasattr(os, "pidfd_open"):
            with suppress(OSError):  # an old kernel
                self._process = os.pidfd_open(pid)
                self._poll.register(self._process, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            os.close(self._process)

    def wait(self, seconds: float) -> None:
        """Return when there is something to see."""
        limit = seconds if self._process is not None else min(seconds, POLL)
        for fd, events in self._poll.poll(limit * 1000):
            if fd == self._reader and not events & select.POLLIN:  # its end is closed: nothing more will come
                self._poll.unregister(fd)
                self._reader = None
        if self._process is None and self._reader is None:
            time.sleep(POLL)


def _read(reader: int, answer: bytearray) -> None:
    with suppress(BlockingIOError):
        while data := os.read(reader, CHUNK):
            answer += data


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _cause(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with suppress(ValueError):
            return f"signal {signal.Signals(number).name}"
        return f"signal {number}"
    return f"exit code {os.WEXITSTATUS(status)}"
