"""The processes that are measured, each started fresh on loopback and ended again."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.install import ROOT
from bench.requests import API_KEY, SECRET
from shared.embedded import EmbeddedServer
from shared.free_port import free_port


@contextmanager
def redis() -> Iterator[str]:
    """A private server with AOF ``always``; yields its URL."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder, EmbeddedServer(Path(folder)) as server:
        yield server.url


@contextmanager
def bare() -> Iterator[int]:
    """The bare handler; yields its port."""
    with _serving("-m", "bench.bare") as port:
        yield port


@contextmanager
def textbook(redis_url: str) -> Iterator[int]:
    """The textbook; yields its port."""
    with _serving("-m", "bench.textbook", env={"BENCH_REDIS_URL": redis_url, "BENCH_SECRET": SECRET}) as port:
        yield port


@contextmanager
def fastapi(redis_url: str, python: str) -> Iterator[int]:
    """FastAPI and Celery; yields its port."""
    env = {"BENCH_REDIS_URL": redis_url, "BENCH_SECRET": SECRET, "PYTHONPATH": str(ROOT)}
    with _serving("-m", "bench.peers.fastapi_app", env=env, program=python) as port:
        yield port


@contextmanager
def fastify(redis_url: str, folder: str) -> Iterator[int]:
    """Fastify and BullMQ; yields its port."""
    env = {"BENCH_REDIS_URL": redis_url, "BENCH_SECRET": SECRET}
    with _serving(f"{folder}/fastify.mjs", env=env, program="node") as port:
        yield port


@contextmanager
def ingest(redis_url: str) -> Iterator[int]:
    """Our own ingest, one process; yields its port."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        port, admin_port = free_port(), free_port()
        env = {
            "ACKFIRST_LISTEN": f"127.0.0.1:{port}",
            "ACKFIRST_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
            "ACKFIRST_REDIS_URL": redis_url,
            "ACKFIRST_DATA_DIR": folder,
            "ACKFIRST_API_KEY": API_KEY,
            "ACKFIRST_SIGNATURE_SECRET": SECRET,
            "ACKFIRST_LOG_FORMAT": "json",
        }
        with _process("-m", "ops.cli", "ingest", env=env):
            wait_for_port(port)
            yield port


@contextmanager
def _serving(*args: str, env: dict[str, str] | None = None, program: str = sys.executable) -> Iterator[int]:
    port = free_port()
    with _process(*args, str(port), env=env or {}, program=program):
        wait_for_port(port)
        yield port


@contextmanager
def _process(*args: str, env: dict[str, str], program: str = sys.executable) -> Iterator[subprocess.Popen[bytes]]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACKFIRST_")}
    process = subprocess.Popen(
        [program, *args],
        env={**inherited, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_port(port: int, patience: float = 15.0) -> None:
    """Return once something accepts connections on ``port``."""
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
