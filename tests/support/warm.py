"""Start ``ackfirst`` commands as forks of a warm interpreter: the part in the test's own process."""

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class WarmProcess:
    """A forked command, with the part of ``subprocess.Popen`` that tests use."""

    def __init__(self, args: Sequence[str], pid: int) -> None:
        self.args = args
        self.pid = pid
        self.returncode: int | None = None
        self._has_ended = threading.Event()

    def ended(self, code: int) -> None:
        self.returncode = code
        self._has_ended.set()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._has_ended.wait(timeout):
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has ended, and that is about to be said
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmServer:
    """The warm interpreter of this test process."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ACKFIRST_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm_server"],
            cwd=ROOT,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdin=theirs,
            start_new_session=True,
        )
        theirs.close()
        self._answers = self._control.makefile("rb")
        self._asking = threading.Lock()
        self._started: list[int] = []
        self._has_started = threading.Semaphore(0)
        self._running: dict[int, WarmProcess] = {}
        self._ended: dict[int, int] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True, name="warm").start()
        atexit.register(self.close)

    def start(
        self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: Path, errors: Path
    ) -> WarmProcess:
        """Fork a command. Its output and its errors go to the end of files that exist."""
        files = {"output": str(output.absolute()), "errors": str(errors.absolute())}
        wanted = {"args": list(args), "cwd": str(cwd.absolute()), "env": dict(env), **files}
        with self._asking:
            self._control.sendall(json.dumps(wanted).encode() + b"\n")
            assert self._has_started.acquire(timeout=60), "the warm interpreter does not answer"
            process = WarmProcess(["ackfirst", *args], self._started.pop())
        with self._lock:
            if (code := self._ended.pop(process.pid, None)) is not None:
                process.ended(code)
            else:
                self._running[process.pid] = process
        return process

    def close(self) -> None:
        self._control.shutdown(socket.SHUT_RDWR)
        self._process.wait(timeout=10)

    def _listen(self) -> None:
        for line in self._answers:
            said = json.loads(line)
            if "started" in said:
                self._started.append(said["started"])
                self._has_started.release()
                continue
            with self._lock:
                if (process := self._running.pop(said["ended"], None)) is not None:
                    process.ended(said["code"])
                else:
                    self._ended[said["ended"]] = said["code"]


@functools.cache
def warm_server() -> WarmServer:
    """Start the warm interpreter of this test process, once."""
    return WarmServer()
