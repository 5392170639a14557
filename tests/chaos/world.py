"""One installation as its user runs it: Redis with AOF, ingest under its supervisor, a pool of workers."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ackfirst.shared.queue import keys
from ackfirst.shared.store import Store, open_store
from ackfirst.simulator.account import SigningAccount, made_up_applications
from tests.chaos.fault import Fault
from tests.chaos.proxy import Proxy
from tests.support.children import children, children_with, command_line, kill
from tests.support.clock import Clock
from tests.support.factories import API_KEY, SECRET
from tests.support.nexmo import Nexmo
from tests.support.ports import free_port
from tests.support.postgresql import PostgresProcess
from tests.support.processes import Cli
from tests.support.redis_process import RedisProcess
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.stack import settings
from tests.support.waiting import wait_until

ACCOUNT: Final = SigningAccount(api_key=API_KEY, secret=SECRET.encode(), applications=made_up_applications(API_KEY))
#: Waits of the retry schedule: short enough that a row sees the end of every retry.
SCHEDULE: Final = "1s,1s,1s"


class World:
    """Starts with ``with``, ends with it. ``folder`` must be short: a unix socket's path has 108 bytes."""

    def __init__(self, folder: Path, fault: Fault) -> None:
        self.folder = folder
        self.fault = fault
        self.notes = folder / "notes"
        self.port = free_port()
        self.admin_port = free_port()
        (folder / "r").mkdir()
        (folder / "once").mkdir()
        self.clock = Clock(folder) if fault.clock else None
        self.redis = RedisProcess(folder / "r")
        self.proxy = Proxy(free_port(), self.redis.socket) if fault.proxied else None
        self.postgresql: PostgresProcess
        """Of a fault that keeps the record there."""
        self.record_folder = folder / "data"
        self.wiped: set[str] = set()
        """Events that the record held when it was wiped."""
        self.disk: SmallDisk
        """Of a fault that has one."""
        self.ingest: Cli
        self.worker: Cli
        self.killed: dict[str, float] = {}
        """Job → when the engine that had it in hand was killed, by ``time.monotonic``."""
        self._starts = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if self.fault.disk:
                self.disk = stack.enter_context(small_disk(self.folder / "data", self.fault.disk))
            if self.fault.store == "postgresql":
                # Not in the row's folder, which the unprivileged user of the server may not enter.
                place = stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True))
                self.postgresql = PostgresProcess(Path(place), fsync="on")
                stack.callback(self.postgresql.stop)
                self.postgresql.start()
            stack.callback(self.redis.kill)
            self.redis.start()
            if self.proxy:
                stack.enter_context(self.proxy)
            stack.callback(lambda: _end(self, "worker"))
            stack.callback(lambda: _end(self, "ingest"))
            self.start_ingest()
            self.start_worker()
            self.wait_for_engines()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Where callbacks go."""
        return f"http://127.0.0.1:{self.port}"

    # Processes
    def start_ingest(self) -> None:
        """Start ingest, and wait until it answers."""
        self.launch_ingest()
        wait_until(self.ingest_answers, timeout=30, message="ingest answers")

    def launch_ingest(self) -> None:
        """Only start it."""
        self.ingest = self._start("ingest", *self.fault.ingest)

    def start_worker(self) -> None:
        """Start the pool."""
        self.worker = self._start("worker", *self.fault.worker)

    def wait_for_engines(self) -> None:
        """Return when the pool takes jobs."""
        self.worker.wait_for_output("worker.started", timeout=30)

    def _start(self, role: str, *options: str) -> Cli:
        self._starts += 1
        cli = Cli(role, *options, cwd=self.folder, env=self._environment(), name=f"{self._starts}-{role}")
        cli.__enter__()
        return cli

    def _environment(self) -> dict[str, str]:
        url = f"redis://127.0.0.1:{self.proxy.port}" if self.proxy else self.redis.url
        clock = self.clock.environment if self.clock else {}
        return {
            **settings(url, self.folder),
            "ACKFIRST_LISTEN": f"127.0.0.1:{self.port}",
            "ACKFIRST_ADMIN_LISTEN": f"127.0.0.1:{self.admin_port}",
            "ACKFIRST_HANDLERS": "tests.chaos.handlers",
            "ACKFIRST_RETRY_SCHEDULE": SCHEDULE,
            "ACKFIRST_STOP_GRACE": "15",
            "CHAOS_NOTES": str(self.notes),
            "CHAOS_HANDLERS": self.fault.handlers,
            "ACKFIRST_STORE_URL": self.store_url or "off",
            **clock,
            **self.fault.env,
        }

    @property
    def store_url(self) -> str | None:
        """Where the record is; None if none is kept."""
        match self.fault.store:
            case "sqlite":
                return f"sqlite:///{self.record_folder / 'record.db'}"
            case "postgresql":
                return self.postgresql.url()
            case _:
                return None

    def open_store(self) -> Store:
        """Open the record."""
        assert self.store_url is not None
        return open_store(self.store_url)

    def recorders(self) -> list[int]:
        """The processes that write the record."""
        return children_with(self.worker.process.pid, "recorder")

    def ingest_answers(self) -> bool:
        """Whether somebody listens and says 200."""
        try:
            return Nexmo(self.port).request("GET", "/healthz") == 200
        except OSError:
            return False

    def ingest_processes(self) -> list[int]:
        """The processes that answer: the children of the supervisor, or ingest itself."""
        return children_with(self.ingest.process.pid, "ingest") or [self.ingest.process.pid]

    def engines(self) -> list[int]:
        """The processes that run handlers."""
        return children_with(self.worker.process.pid, "engine")

    def kill_engines(self) -> None:
        """kill -9 of all of them; what they had in hand is noted."""
        engines = wait_until(self.engines, timeout=30)
        held = self._in_hand()
        kill(*engines)
        when = time.monotonic()
        # Afterwards too: it may have taken the next one just before. A janitor may have seen to it already.
        self.killed |= {job: when for engine, job in (*held, *self._in_hand()) if engine in engines}
        wait_until(lambda: set(self.engines()) - set(engines), timeout=30)

    def _in_hand(self) -> list[tuple[int, str]]:
        """Process id of an engine and the job that it has taken."""
        with self.redis.client() as client:
            held = {name: client.hkeys(name) for name in client.scan_iter(keys.in_flight("*"))}
        return [(int(name.rpartition(b"-")[2]), job.decode()) for name, jobs in held.items() for job in jobs]

    # What they say
    def log(self) -> Iterator[dict[str, Any]]:
        """Every line that any process has logged, parsed."""
        for file in sorted(self.folder.glob("*.out")):
            for line in file.read_text(errors="replace").splitlines():
                if line.startswith("{"):
                    yield json.loads(line)

    def has_logged(self, event: str) -> bool:
        """Whether any process has said that."""
        return any(line.get("event") == event for line in self.log())

    @contextmanager
    def redis_away(self) -> Iterator[None]:
        """Killed without a warning, started again at the end."""
        self.redis.kill()
        try:
            yield
        finally:
            self.redis.start()


def _end(world: World, role: str) -> None:
    cli: Cli | None = getattr(world, role, None)
    if cli is None:
        return
    below = [pid for child in children(cli.process.pid) for pid in (child, *children(child))]
    cli.__exit__(None, None, None)
    for pid in below:  # of a supervisor that was killed: they end by themselves, but not later than this
        if command_line(pid):
            os.kill(pid, 9)
