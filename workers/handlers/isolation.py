"""``--isolate``: each attempt of a handler in a child process: a crash, a leak or a hang is the child's alone.

An engine has threads, and a process with threads cannot be forked safely: a lock that another thread holds stays locked
in the child for ever. So the engine forks a *fork server* before it starts its first thread. The server has one thread,
and forks a child for each attempt.
"""

import contextlib
import os
import pickle
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import fields
from types import TracebackType
from typing import Any, Final, Self

from ackfirst.workers.handlers.context import Context
from ackfirst.workers.handlers.deadline import ThreadDeadline
from ackfirst.workers.handlers.fork_server import CHUNK_BYTES, LENGTH, ORDER, STATUS, be_fork_server
from ackfirst.workers.handlers.invoke import BACKSTOP_SECONDS
from ackfirst.workers.handlers.isolated_result import HandlerDied, unpack
from ackfirst.workers.handlers.registry import Registry
from ackfirst.workers.handlers.verdicts import HandlerTimeout
from ackfirst.workers.processing.dispatch import Attempt, AttemptResult

#: Seconds after a handler's timeout in which the child may still end by itself; then it is killed, whatever it does.
GRACE_SECONDS: Final = BACKSTOP_SECONDS + 1.0
#: Bytes of an answer that are kept: a handler may write whatever it likes to the socket that it finds open.
LONGEST_ANSWER_BYTES: Final = 1 << 20
#: Seconds that the server may take to tell the end of a child beyond the child's own limit.
SERVER_SECONDS: Final = 30.0


class IsolatedInvoker:
    """Makes each attempt in a child that has nothing in common with the engine but the code.

    Enter it before the process starts a thread. The child opens connections of its own (redis-py does so by itself
    after a fork) and starts an event loop of its own.
    """

    runs_async = True
    deadlines: Sequence[ThreadDeadline | None] = ()

    def __init__(self, registry: Registry) -> None:
        self._handlers = {handler.name: handler for handler in registry}
        self._lock = threading.Lock()
        self._server: socket.socket | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        engine = os.getpid()
        pid = os.fork()
        if not pid:
            ours.close()
            be_fork_server(theirs, self._handlers, engine)
        theirs.close()
        self._server, self._pid = ours, pid
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_alive(self) -> bool:
        """Return whether the server runs."""
        try:
            return self._server is None or not os.waitpid(self._pid, os.WNOHANG)[0]
        except ChildProcessError:
            return False

    def enter(self, number: int) -> None:
        """Do nothing: the thread only waits for a child."""

    def excuse(self, number: int) -> None:
        """Do nothing: no handler of a child stops this process."""

    def close(self) -> None:
        """End the server, and with it every child that still runs."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)

    def __call__(self, attempt: Attempt) -> AttemptResult:
        """Make one attempt.

        Its error is one of:

        - HandlerTimeout: It took longer than ``handler.timeout``; it was killed if it did not end.
        - HandlerDied: The child ended without an answer, by a signal or by ``os._exit``.
        - Discard, RetryLater: What the handler raised.
        - IsolatedError: Any other exception of the handler, under the name of its class, with its traceback.
        """
        started, began = time.time(), time.monotonic()
        error: BaseException | None
        returned = None
        limit = attempt.handler.timeout + GRACE_SECONDS
        try:
            answer, status, was_late = self._run(_request(attempt), limit)
        except (OSError, EOFError) as broken:
            error = HandlerDied(f"the fork server is gone: {broken}")
        else:
            if was_late:
                error = HandlerTimeout(attempt.handler.timeout)
            elif not answer:
                error = HandlerDied(_cause(status))
            else:
                error, returned = unpack(answer)
        return AttemptResult(error, started, time.monotonic() - began, returned)

    def _run(self, request: bytes, limit: float) -> tuple[bytes, int, bool]:
        """The child's answer, its exit status, and whether it was killed for its timeout."""
        server = self._server
        if server is None:
            raise EOFError("it was closed")
        ours, theirs = socket.socketpair()
        status_reader, status_writer = os.pipe()
        with ours, os.fdopen(status_reader, "rb", buffering=0) as status:
            try:
                with self._lock:
                    socket.send_fds(server, [ORDER.pack(limit)], [theirs.fileno(), status_writer])
            finally:
                theirs.close()
                os.close(status_writer)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died before it had read it
                ours.settimeout(limit)
                ours.sendall(request)
            return _await_end(ours, status, limit + SERVER_SECONDS)


def _await_end(conversation: socket.socket, status: Any, seconds: float) -> tuple[bytes, int, bool]:
    """Read the answer until the server tells the end of the child.

    The end of the child counts, not that of the socket: what the child has started may hold it open.
    """
    answer = bytearray()
    deadline = time.monotonic() + seconds
    conversation.settimeout(0)
    poll = select.poll()
    poll.register(status, select.POLLIN)
    poll.register(conversation, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise EOFError("it did not answer")
        ready = dict(poll.poll(left * 1000))
        if conversation.fileno() in ready and not _read(conversation, answer):
            poll.unregister(conversation)
        if status.fileno() in ready:
            told = status.read(STATUS.size)
            if len(told) < STATUS.size:
                raise EOFError("it ended")
            _read(conversation, answer)
            return bytes(answer), *STATUS.unpack(told)


def _read(conversation: socket.socket, answer: bytearray) -> bool:
    """Read what has come; False when nothing more will."""
    with contextlib.suppress(BlockingIOError):
        try:
            while data := conversation.recv(CHUNK_BYTES):
                if len(answer) < LONGEST_ANSWER_BYTES:  # the rest is read and dropped: no answer of ours is as long
                    answer += data
        except ConnectionResetError:
            pass
        return False
    return True


def _request(attempt: Attempt) -> bytes:
    """Everything that the child must know; it shares the handlers with the engine."""
    known = {one.name: getattr(attempt.context, one.name) for one in fields(Context) if one.name != "log"}
    request = pickle.dumps((attempt.handler.name, attempt.event, known))
    return LENGTH.pack(len(request)) + request


def _cause(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(number).name}"
        return f"signal {number}"
    return f"exit code {os.WEXITSTATUS(status)}"
