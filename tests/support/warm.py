"""Start ``ackfirst`` commands as forks of a warm interpreter: the part in the test's own process."""

import atexit
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


class WarmProcess:
    """A forked command, with the part of ``subprocess.Popen`` that tests use."""

    def __init__(self, pid: int) -> None:
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
            raise subprocess.TimeoutExpired(f"ackfirst, process {self.pid}", timeout or 0.0)
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
    """A warm interpreter with this environment and working folder."""

    def __init__(self, env: Mapping[str, str], cwd: Path) -> None:
        self._control, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm_server"],
            cwd=cwd,
            env=env,
            stdin=theirs,
            start_new_session=True,
        )
        theirs.close()
        self._lock = threading.Lock()
        self._started = queue.SimpleQueue[WarmProcess]()
        threading.Thread(target=self._listen, daemon=True, name="warm").start()
        atexit.register(self._close)

    def start(
        self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: Path, errors: Path
    ) -> WarmProcess:
        """Fork a command. Its output and its errors go to the end of files that exist."""
        files = {"output": str(output.absolute()), "errors": str(errors.absolute())}
        wanted = {"args": list(args), "cwd": str(cwd.absolute()), "env": dict(env), **files}
        with self._lock:
            self._control.sendall(json.dumps(wanted).encode() + b"\n")
            return self._started.get(timeout=60)

    def _close(self) -> None:
        self._control.shutdown(socket.SHUT_RDWR)
        self._process.wait(timeout=10)

    def _listen(self) -> None:
        running: dict[int, WarmProcess] = {}
        for line in self._control.makefile("rb"):
            said = json.loads(line)
            if "started" in said:
                process = running[said["started"]] = WarmProcess(said["started"])
                self._started.put(process)
            else:
                running.pop(said["ended"]).ended(said["code"])
