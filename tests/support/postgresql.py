"""A real PostgreSQL cluster that a test starts, stops, kills and freezes. Unix socket only: it never meets a port.

PostgreSQL refuses to run as root; then it runs as an unprivileged user. It ends with the process that started it, even
when that is killed, where ``setpriv`` can arrange it.
"""

import os
import pwd
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.support.waiting import wait_until

#: The superuser of the cluster, and of nothing else.
USER = "ackfirst"


def find_programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``: Debian keeps them out of the PATH. None where there is none."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: -float(one.parent.name)):
        if (folder / "postgres").exists():
            return folder
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found else None


needs_postgresql = pytest.mark.skipif(find_programs() is None, reason="no PostgreSQL server is installed (postgresql)")


class PostgresProcess:
    """One cluster. ``options`` are settings such as ``{"fsync": "on"}``."""

    def __init__(self, folder: Path, **options: str) -> None:
        programs = find_programs()
        assert programs is not None
        self._programs = programs
        self.folder = folder
        self._data = folder / "data"
        self._options = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "fsync": "off",  # tests kill processes, not the power
            "shared_buffers": "32MB",
            **options,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@/{database}?host={quote(str(self.folder), safe='')}"

    def start(self) -> "PostgresProcess":
        if not self._data.exists():
            self._initialise()
        settings = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user(dies_with_us=True), self._programs / "postgres", "-D", self._data, *settings],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, timeout=30, message="the test's PostgreSQL answers")
        return self

    def _initialise(self) -> None:
        self.folder.chmod(0o755)
        if os.getuid() == 0:
            shutil.chown(self.folder, _unprivileged().pw_name)
        options = ("--no-sync", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C")
        done = subprocess.run(
            [*self._as_user(), self._programs / "initdb", "-D", self._data, *options],
            cwd=self.folder,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _as_user(self, *, dies_with_us: bool = False) -> list[str]:
        options = []
        if os.getuid() == 0:
            user = _unprivileged()
            options += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        if dies_with_us:
            options.append("--pdeathsig=INT")
        if not options or (os.getuid() != 0 and not shutil.which("setpriv")):
            return []
        return ["setpriv", *options, "--"]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "server.log").read_text()[-800:]
        try:
            with psycopg.connect(self.url(), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement as the superuser; the rows that it returns."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """The URL of a new database, which is gone afterwards."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def pids(self) -> list[int]:
        """The server's processes, the first one first."""
        assert self._process is not None
        first = self._process.pid
        children = Path(f"/proc/{first}/task/{first}/children")
        return [first, *map(int, children.read_text().split())] if children.exists() else [first]

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill every process of the server with ``kill -9``."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, signum: signal.Signals) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signum)

    def _end(self, signum: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._signal(signal.SIGCONT)
            if signum == signal.SIGKILL:
                self._signal(signum)
            else:
                self._process.send_signal(signum)
        self._process.wait(timeout=30)
        self._process = None


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
