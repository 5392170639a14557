"""Start the servers and workers that are measured, each fresh on loopback, and end them whatever happens."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import redis as client

from ackfirst.shared.embedded import EmbeddedServer
from ackfirst.shared.embedded.binary import find_binary
from ackfirst.shared.processes.free_port import free_port
from ackfirst.workers.pool import ENGINE_NICENESS
from bench.load import API_KEY, SECRET
from bench.peers.install import ROOT

#: Event that an ingest process logs when it accepts connections.
_LISTENING: Final = b'"ingest.listening"'

#: Threads of plain handlers, here as at the peers.
THREADS: Final = 8

#: Runs a peer as politely as an engine runs by itself: on a machine that is busy with something else, the engine gets a
#: tenth of what a peer at normal priority would get.
POLITELY: Final = ("nice", "-n", str(ENGINE_NICENESS))

Process = subprocess.Popen[bytes]


@cache
def thread_options() -> tuple[str, ...]:
    """Return the options of ``ackfirst worker`` for eight threads; none if this version runs one handler at a time."""
    shown = subprocess.run([sys.executable, "-m", "ackfirst", "worker", "--help"], capture_output=True, check=True)
    return ("--threads", str(THREADS)) if b"--threads" in shown.stdout else ()


@contextmanager
def running(
    *args: str, env: Mapping[str, str], program: str = sys.executable, output: Path | None = None
) -> Iterator[Process]:
    """Run a process with no ``ACKFIRST_`` setting but those in ``env``; its output goes to ``output`` or nowhere."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACKFIRST_")}
    with (output or Path(os.devnull)).open("wb") as sink:
        process = subprocess.Popen([program, *args], env={**inherited, **env}, stdout=sink, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        _end(process)


def _end(process: Process, timeout: float = 30.0) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], what: str, *, timeout: float = 30.0, pause: float = 0.02) -> None:
    """Wait until ``condition`` holds.

    Raises:
        SystemExit: It does not within ``timeout`` seconds; ``what`` names it in the message.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {timeout:g} s in vain until {what}")
        time.sleep(pause)


@contextmanager
def redis_server() -> Iterator[EmbeddedServer]:
    """Run a private server that syncs its append-only file at each write."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder, EmbeddedServer(Path(folder)) as server:
        yield server


@contextmanager
def redis() -> Iterator[str]:
    """Run the same server; yields its URL."""
    with redis_server() as server:
        yield server.url


@contextmanager
def replicated_redis() -> Iterator[str]:
    """Run a master and a replica that has all of it; yields the master's URL."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        master, replica = free_port(), free_port()
        with (
            _redis_on(master, Path(folder) / "m"),
            _redis_on(replica, Path(folder) / "r", f"replicaof 127.0.0.1 {master}"),
        ):
            with client.Redis(port=replica, socket_timeout=5) as follower:
                wait_until(
                    lambda: follower.info("replication").get("master_link_status") == "up", "the replica has everything"
                )
            yield f"redis://127.0.0.1:{master}"


@contextmanager
def _redis_on(port: int, folder: Path, *lines: str) -> Iterator[None]:
    folder.mkdir()
    config = folder / "conf"
    common = ("appendonly yes", "appendfsync always", 'save ""', "maxmemory-policy noeviction", "bind 127.0.0.1")
    config.write_text("\n".join([*common, f"port {port}", f'dir "{folder}"', "repl-diskless-sync-delay 0", *lines]))
    with running(str(config), env={}, program=str(find_binary())):
        wait_until(lambda: _accepts(port), f"a server listens on port {port}")
        yield


@contextmanager
def bare() -> Iterator[int]:
    """Run the bare handler; yields its port."""
    with _serving("-m", "bench.peers.bare") as port:
        yield port


@contextmanager
def textbook(redis_url: str) -> Iterator[int]:
    """Run the textbook; yields its port."""
    env = {"BENCH_REDIS_URL": redis_url, "BENCH_SECRET": SECRET}
    with _serving("-m", "bench.peers.textbook", env=env) as port:
        yield port


@contextmanager
def fastapi(redis_url: str, python: str) -> Iterator[int]:
    """Run FastAPI and Celery; yields its port."""
    env = {"BENCH_REDIS_URL": redis_url, "BENCH_SECRET": SECRET, "PYTHONPATH": str(ROOT)}
    with _serving("-m", "bench.peers.fastapi_app", env=env, program=python) as port:
        yield port


@contextmanager
def fastify(redis_url: str, folder: str) -> Iterator[int]:
    """Run Fastify and BullMQ; yields its port."""
    env = {"BENCH_REDIS_URL": redis_url, "BENCH_SECRET": SECRET}
    with _serving(f"{folder}/fastify.mjs", env=env, program="node") as port:
        yield port


@contextmanager
def ingest(
    redis_url: str, *, processes: int = 1, spool: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run ``ackfirst ingest``, its log in a file; yields its port when all processes accept connections.

    ``spool`` is a data folder in which events wait already, ``settings`` are further ones.
    """
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        port, admin_port = free_port(), free_port()
        env = {
            "ACKFIRST_LISTEN": f"127.0.0.1:{port}",
            "ACKFIRST_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
            "ACKFIRST_REDIS_URL": redis_url,
            "ACKFIRST_DATA_DIR": str(spool or folder),
            "ACKFIRST_API_KEY": API_KEY,
            "ACKFIRST_SIGNATURE_SECRET": SECRET,
            "ACKFIRST_LOG_FORMAT": "json",
            **(settings or {}),
        }
        log = Path(folder) / "ingest.log"
        with running("-m", "ackfirst", "ingest", "--processes", str(processes), env=env, output=log):
            wait_until(lambda: log.read_bytes().count(_LISTENING) >= processes, "every ingest process listens")
            yield port


@contextmanager
def workers(redis_url: str, *args: str, handlers: str, env: Mapping[str, str] | None = None) -> Iterator[Process]:
    """Run ``ackfirst worker`` with these arguments and the handlers of one module."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        settings = {
            "ACKFIRST_REDIS_URL": redis_url,
            "ACKFIRST_DATA_DIR": folder,
            "ACKFIRST_HANDLERS": handlers,
            "ACKFIRST_LOG_LEVEL": "warning",
            "PYTHONPATH": str(ROOT),
        }
        with running("-m", "ackfirst", "worker", *args, env={**settings, **(env or {})}) as process:
            yield process


@contextmanager
def _serving(*args: str, env: dict[str, str] | None = None, program: str = sys.executable) -> Iterator[int]:
    port = free_port()
    with running(*args, str(port), env=env or {}, program=program):
        wait_until(lambda: _accepts(port), f"a server listens on port {port}")
        yield port


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
