"""The whole stack as real processes, with a real Prometheus that looks at it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Self

import redis

from ackfirst.shared.queue import keys
from tests.support.handlers import write_handlers
from tests.support.nexmo import Nexmo
from tests.support.ports import free_port
from tests.support.processes import Cli
from tests.support.prometheus import Prometheus
from tests.support.redis_process import RedisProcess
from tests.support.stack import settings
from tests.support.waiting import wait_until

#: A second account; its secret is in ``ackfirst.toml``.
OTHER_ACCOUNT = "b3n8x1zz"
OTHER_SECRET = "willow-Compass-17-quiet-estuary"

#: An application whose handler always fails, at once and at its only retry.
FAILING = "failing"

_HANDLERS = f"""
@on(application="{FAILING}")
def fail(event):
    raise OSError("what it calls is down")
"""


class Watched:
    """Ingest, a worker, and Prometheus, on one Redis. ``more`` are ``ACKFIRST_*`` names without the prefix."""

    def __init__(self, folder: Path, server: RedisProcess, **more: str) -> None:
        self.prometheus = Prometheus(folder / "prometheus")
        self.port, self.admin_port = free_port(), free_port()
        self.nexmo = Nexmo(self.port)
        self._folder = folder
        self._env = settings(
            server.url,
            folder,
            ACKFIRST_HANDLERS=write_handlers(folder, _HANDLERS),
            ACKFIRST_RETRY_SCHEDULE="1s",
            ACKFIRST_LISTEN=f"127.0.0.1:{self.port}",
            ACKFIRST_ADMIN_LISTEN=f"127.0.0.1:{self.admin_port}",
            **{f"ACKFIRST_{name}": value for name, value in more.items()},
        )
        self._ends = ExitStack()
        self.ingest: Cli
        self.worker: Cli
        (folder / "ackfirst.toml").write_text(f'[accounts.{OTHER_ACCOUNT}]\nsecrets = ["{OTHER_SECRET}"]\n')

    def __enter__(self) -> Self:
        """All is well: no alert fires."""
        with ExitStack() as undo:
            undo.push(self._ends)
            self._ends.enter_context(self.prometheus)
            self.prometheus.scrape(self.admin_port)  # taken note of within 5 s: meanwhile the rest starts
            self.start_ingest()
            self.start_worker()
            wait_until(lambda: self.prometheus.query('up{job="ackfirst"} == 1'), timeout=20)
            wait_until(lambda: self.prometheus.query("ackfirst_workers == 1"), timeout=20)
            wait_until(lambda: not self.prometheus.firing(), timeout=20)
            self.prometheus.fired.clear()
            undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.close()

    def start_ingest(self) -> None:
        self.ingest = self._ends.enter_context(Cli("ingest", cwd=self._folder, env=self._env, name="ingest"))
        self.ingest.wait_for_output("ingest.listening", timeout=30)

    def start_worker(self, **more: str) -> None:
        env = {**self._env, **{f"ACKFIRST_{name}": value for name, value in more.items()}}
        self.worker = self._ends.enter_context(Cli("worker", cwd=self._folder, env=env, name="worker"))

    def finished_jobs(self, client: redis.Redis, count: int) -> list[str]:
        """Wait until so many events are processed; the keys of their jobs."""

        def finished() -> list[str]:
            found = [key.decode() for key in client.scan_iter(keys.job("*"))]
            return [key for key in found if client.hget(key, "status") == b"finished"]

        wait_until(lambda: len(finished()) == count, timeout=30)
        return finished()

    def sees_fire(self, names: set[str], *, timeout: float) -> None:
        """Each of them fires, and its text has no gap."""
        self.prometheus.wait_for(names, timeout=timeout)
        for name in names:
            text = " ".join(self.prometheus.fired[name].values())
            assert "<no value>" not in text, text
            assert "error" not in self.prometheus.fired[name]["summary"], text

    def sees_end(self, names: set[str], *, timeout: float) -> None:
        """None of them fires any more."""
        wait_until(lambda: not names & self.prometheus.firing(), timeout=timeout, message=f"the end of {names}")


@contextmanager
def again_and_again(act: Callable[[], object], *, every: float) -> Iterator[None]:
    """Call ``act`` in a thread for as long as the block lasts. That nobody answers it is no mistake."""
    over = Event()

    def run() -> None:
        while not over.wait(every):
            with suppress(OSError):
                act()

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(run)
        try:
            yield
        finally:
            over.set()
        running.result(timeout=30)
