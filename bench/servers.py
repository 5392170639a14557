"""The servers and workers that are measured, each started fresh on loopback and ended again."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ackfirst.shared.embedded import EmbeddedServer
from ackfirst.shared.processes.free_port import free_port
from bench.peers.install import ROOT
from bench.processes import Process, running, wait_for_port, wait_until
from bench.requests import API_KEY, SECRET

#: What an ingest process prints once it answers.
_LISTENING: Final = b'"ingest.listening"'


@contextmanager
def redis_server() -> Iterator[EmbeddedServer]:
    """A private server with AOF ``always``."""
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder, EmbeddedServer(Path(folder)) as server:
        yield server


@contextmanager
def redis() -> Iterator[str]:
    """The same; yields its URL."""
    with redis_server() as server:
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
def ingest(redis_url: str, *, processes: int = 1, spool: Path | None = None) -> Iterator[int]:
    """Our own ingest, its log in a file; yields its port when all processes answer.

    ``spool`` is a data folder in which events wait already.
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
        }
        log = Path(folder) / "ingest.log"
        with running("-m", "ackfirst", "ingest", "--processes", str(processes), env=env, output=log):
            wait_until(lambda: log.read_bytes().count(_LISTENING) >= processes, "every ingest process listens")
            yield port


@contextmanager
def workers(redis_url: str, *args: str, handlers: str, env: Mapping[str, str] | None = None) -> Iterator[Process]:
    """``ackfirst worker`` with these arguments and the handlers of one module."""
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
        wait_for_port(port)
        yield port
