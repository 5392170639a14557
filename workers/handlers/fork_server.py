"""The fork server of ``--isolate``: a process with one thread, which forks a child for each attempt."""

import contextlib
import gc
import os
import pickle
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ackfirst.shared.processes.parent_death import die_with
from ackfirst.workers.handlers.context import Context
from ackfirst.workers.handlers.handler import Handler
from ackfirst.workers.handlers.invoke import Invoker
from ackfirst.workers.handlers.isolated_result import pack

#: Bytes of a child's answer that are read at once.
CHUNK_BYTES: Final = 65_536

#: What the engine sends with the two descriptors of an attempt: seconds until the child is killed.
ORDER: Final = struct.Struct("=d")
#: What the server answers: the child's exit status, and whether it was killed for its timeout.
STATUS: Final = struct.Struct("=i?")
#: What precedes a request: its length.
LENGTH: Final = struct.Struct("=Q")


@dataclass(slots=True)
class _Child:
    """A child that runs."""

    status: int
    """Descriptor on which its end is reported."""
    deadline: float
    was_late: bool = False


def be_fork_server(orders: socket.socket, handlers: Mapping[str, Handler], engine: int) -> None:
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
        order, descriptors, _, _ = socket.recv_fds(self._orders, ORDER.size, 2)
        if not order:
            return False
        conversation, status = descriptors
        (limit,) = ORDER.unpack(order)
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
                    os.write(one.status, STATUS.pack(status, one.was_late))
                os.close(one.status)


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
    (length,) = LENGTH.unpack(_exactly(engine, LENGTH.size))
    return _exactly(engine, length)


def _exactly(engine: socket.socket, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        data = engine.recv(min(CHUNK_BYTES, length - len(found)))
        if not data:
            raise EOFError
        found += data
    return bytes(found)
