"""Starts the processes of a measurement, waits until they are ready, and ends them whatever happens."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Process = subprocess.Popen[bytes]


@contextmanager
def running(
    *args: str, env: Mapping[str, str], program: str = sys.executable, output: Path | None = None
) -> Iterator[Process]:
    """A process with no setting of ours but those in ``env``; what it prints goes to ``output`` or nowhere."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACKFIRST_")}
    with (output or Path(os.devnull)).open("wb") as sink:
        process = subprocess.Popen([program, *args], env={**inherited, **env}, stdout=sink, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        end(process)


def end(process: Process, patience: float = 30.0) -> None:
    """Ask it to stop; kill it when it has not after ``patience`` seconds."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], what: str, *, patience: float = 30.0, pause: float = 0.02) -> None:
    """Return once ``condition`` holds.

    Raises:
        SystemExit: It does not after ``patience`` seconds; the message says what was waited for.
    """
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {patience:g} s for nothing: {what}")
        time.sleep(pause)


def wait_for_port(port: int) -> None:
    """Return once something accepts connections on ``port``."""
    wait_until(lambda: _accepts(port), f"something listens on port {port}")


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
