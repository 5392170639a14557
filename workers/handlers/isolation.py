"""``--isolate``: each attempt of a handler in a child process: a crash, a leak or a hang is the child's alone.

An engine has threads, and a process with threads cannot be forked safely: a lock that another thread holds stays locked
in the child for ever. So the engine forks a *fork server* before it starts its first thread. The server has one thread,
and forks a child for each attempt.
"""

import contextlib
import gc
import os
import pickle
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Any, Final, Self

import structlog

from ackfirst.shared.processes.parent_death import die_with
from ackfirst.workers.handlers.context import Context
from ackfirst.workers.handlers.deadline import ThreadDeadline
from ackfirst.workers.handlers.handler import Handler
from ackfirst.workers.handlers.invoke import BACKSTOP_SECONDS, Invoker
from ackfirst.workers.handlers.isolated_result import HandlerDied, pack, unpack
from ackfirst.workers.handlers.registry import Registry
from ackfirst.workers.handlers.verdicts import HandlerTimeout
from ackfirst.workers.processing.dispatch import Attempt, AttemptResult

#: Seconds after a handler's timeout in which the child may still end by itself; then it is killed, whatever it does.
GRACE_SECONDS: Final = BACKSTOP_SECONDS + 1.0
#: Bytes of a child's answer that are read at once.
CHUNK_BYTES: Final = 65_536
#: Bytes of an answer that are kept: a handler may write whatever it likes to the socket that it finds open.
LONGEST_ANSWER_BYTES: Final = 1 << 20
#: Seconds that the server may take to tell the end of a child beyond the child's own limit.
SERVER_SECONDS: Final = 30.0

#: What the engine sends with the two descriptors of an attempt: seconds until the child is killed.
_ORDER: Final = struct.Struct("=d")
#: What the server answers: the child's exit status, and whether it was killed for its timeout.
_STATUS: Final = struct.Struct("=i?")
#: What precedes a request: its length.
_LENGTH: Final = struct.Struct("=Q")


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
            _be_server(theirs, self._handlers, engine)
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
                    socket.send_fds(server, [_ORDER.pack(limit)], [theirs.fileno(), status_writer])
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
            told = status.read(_STATUS.size)
            if len(told) < _STATUS.size:
                raise EOFError("it ended")
            _read(conversation, answer)
            return bytes(answer), *_STATUS.unpack(told)


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
    return _LENGTH.pack(len(request)) + request


# In the server
@dataclass(slots=True)
class _Child:
    """A child that runs."""

    status: int
    """Descriptor on which its end is reported."""
    deadline: float
    was_late: bool = False


def _be_server(orders: socket.socket, handlers: Mapping[str, Handler], engine: int) -> None:
    """Fork a child for each order, and tell its end; never return."""
    try:
        die_with(engine)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # Ctrl-C reaches all processes of a terminal
            signal.signal(signum, signal.SIG_IGN)
        gc.collect()
        gc.freeze()  # so that a child's collector does not copy the pages of everything that is imported
        _Server(orders, handlers).serve()
    finally:
        os._exit(0)


class _Server:
    def __init__(self, orders: socket.socket, handlers: Mapping[str, Handler]) -> None:
        self._orders = orders
        self._handlers = handlers
        self._children: dict[int, _Child] = {}
        self._awake, writer = socket.socketpair()
        self._awake.settimeout(0)
        writer.settimeout(0)
        self._writer = writer
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self._orders, select.POLLIN)
        poll.register(self._awake, select.POLLIN)
        while True:
            for fd, _ in poll.poll(self._patience()):
                if fd == self._awake.fileno():
                    with contextlib.suppress(BlockingIOError):
                        self._awake.recv(CHUNK_BYTES)
                elif not self._take_order():
                    self._kill_all()
                    return
            self._kill_late()
            self._reap()

    def _patience(self) -> float | None:
        """Milliseconds until a child is late."""
        soonest = min((one.deadline for one in self._children.values() if not one.was_late), default=None)
        return None if soonest is None else max(0.0, soonest - time.monotonic()) * 1000 + 1

    def _take_order(self) -> bool:
        """Fork a child; False when the engine is gone."""
        order, descriptors, _, _ = socket.recv_fds(self._orders, _ORDER.size, 2)
        if not order:
            return False
        conversation, status = descriptors
        (limit,) = _ORDER.unpack(order)
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError:  # no memory, too many processes: the engine sees that the status pipe is closed
            os.close(conversation)
            os.close(status)
            return True
        if not pid:
            self._close_in_child(status)
            _be_child(conversation, server, self._handlers)
        os.close(conversation)
        self._children[pid] = _Child(status, time.monotonic() + limit)
        return True

    def _close_in_child(self, status: int) -> None:
        """List the descriptors that a handler could read, or hold open beyond its end."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(status)
        for one in self._children.values():
            os.close(one.status)
        for each in (self._orders, self._awake, self._writer):
            each.close()

    def _kill_late(self) -> None:
        now = time.monotonic()
        for pid, one in self._children.items():
            if now >= one.deadline and not one.was_late:
                one.was_late = True
                os.kill(pid, signal.SIGKILL)

    def _kill_all(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        for pid in list(self._children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                one = self._children.pop(pid)
                with contextlib.suppress(OSError):  # the engine has given the attempt up
                    os.write(one.status, _STATUS.pack(status, one.was_late))
                os.close(one.status)


# In the child
def _be_child(conversation: int, server: int, handlers: Mapping[str, Handler]) -> None:
    """Run the handler, answer, and end without anything that the server's end would do."""
    code = 1
    try:
        die_with(server)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with socket.socket(fileno=conversation) as engine:
            name, event, known = pickle.loads(_receive(engine))  # noqa: S301 - from the engine, which forked the server
            context = Context(**known, log=_log(event.id, known))
            try:
                answer = pack(None, _call(lambda invoke: invoke(handlers[name], event, context)))
            except BaseException as error:  # noqa: BLE001 - sys.exit() too is only this handler's failure
                handlers[name].trim_traceback(error)
                answer = pack(error)
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            engine.sendall(answer)
        code = 0
    finally:
        os._exit(code)


def _call(work: Callable[[Invoker], object]) -> object:
    invoke = Invoker()
    try:
        return work(invoke)
    finally:
        invoke.close()


def _log(event_id: str, known: Mapping[str, Any]) -> Any:
    name = "ackfirst.workers.handlers.handler"
    return structlog.get_logger(name, event_id=event_id, handler=known["handler"], attempt=known["attempt"])


def _receive(engine: socket.socket) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(engine, _LENGTH.size))
    return _exactly(engine, length)


def _exactly(engine: socket.socket, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        data = engine.recv(min(CHUNK_BYTES, length - len(found)))
        if not data:
            raise EOFError
        found += data
    return bytes(found)


def _cause(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(number).name}"
        return f"signal {number}"
    return f"exit code {os.WEXITSTATUS(status)}"
