"""The compose stack of a fresh copy of the project, under a name and on ports of its own."""

import json
import secrets
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from tests.compose.engine import ROOT, Engine
from tests.support.ports import free_port

#: Seconds that one command may take: the longest builds an image on an empty machine.
_PATIENCE: Final = 900

#: How the image of the copy is called.
IMAGE: Final = "ackfirst-test"

#: What the worker's example handler has stored: one line an event, its id and how often it was given.
_STORED: Final = """
import sqlite3, pathlib
file = pathlib.Path("/var/lib/ackfirst/events.db")
if file.exists():
    rows = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30).execute("SELECT id, deliveries FROM events")
    print(*(f"{event} {times}" for event, times in rows), sep="\\n")
"""


class CommandFailed(Exception):  # noqa: N818 - what happened, not a mistake
    """A command of Docker's has failed; the message has its last lines."""


class Stack:
    """``docker-compose.yml`` as a user has it after a clone."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.folder = folder / "ackfirst"
        self._engine = engine
        self._ports = {name: free_port() for name in ("HTTP", "HTTPS", "WEB", "PROMETHEUS")}
        self.project = f"ackfirst-test-{secrets.token_hex(4)}"
        self._env = {
            **engine.env,
            **{f"{name}_LISTEN": f"127.0.0.1:{port}" for name, port in self._ports.items()},
            "COMPOSE_PROJECT_NAME": self.project,
            "ACKFIRST_IMAGE": IMAGE,
        }
        _copy_of_the_project(self.folder)
        if engine.compose != ("docker", "compose"):
            self._env["PATH"] = f"{_docker_with_compose(folder, engine)}:{self._env.get('PATH', '')}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.compose("down", "--volumes", "--remove-orphans")

    @property
    def url(self) -> str:
        """Where callbacks go."""
        return f"http://127.0.0.1:{self._ports['HTTP']}"

    @property
    def https_port(self) -> int:
        """Where the edge serves TLS, once it has a certificate."""
        return self._ports["HTTPS"]

    @contextmanager
    def changed(self, **values: str) -> Iterator[None]:
        """With other settings than a user has who has set nothing."""
        before = dict(self._env)
        self._env.update(values)
        try:
            yield
        finally:
            self._env = before

    def write(self, files: Mapping[str, str]) -> None:
        """Put files into the project's folder."""
        for name, text in files.items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text(text)

    def remove(self, files: Mapping[str, str]) -> None:
        """Take them away again."""
        for name in files:
            (self.folder / name).unlink()

    def compose(self, *arguments: str) -> str:
        """Run a command of Compose; its standard output.

        Raises:
            CommandFailed: It did not end with 0.
        """
        return self.run([*self._engine.compose, *arguments])

    def shell(self, commands: str) -> str:
        """Run commands of the documentation as they are; their standard output."""
        return self.run(["sh", "-euc", commands])

    def run(self, argv: Sequence[str]) -> str:
        """Run a command in the project's folder, on this engine."""
        done = subprocess.run(
            argv, cwd=self.folder, env=self._env, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
            raise CommandFailed(f"{' '.join(argv)} ended with {done.returncode}:\n{tail}")
        return done.stdout

    def up(self, *arguments: str) -> None:
        """``up -d``, and then until every container that has a health check is healthy."""
        self.compose("up", "-d", *arguments)

    def containers(self, service: str) -> list[str]:
        """Ids of the running containers of a service."""
        labels = (f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}")
        filters = [argument for label in labels for argument in ("--filter", f"label={label}")]
        return self.run(["docker", "ps", "-q", *filters]).split()

    def exec(self, service: str, *argv: str) -> str:
        """Run a command in the first container of a service, whatever its number is; its standard output."""
        return self.run(["docker", "exec", self.containers(service)[0], *argv])

    def health(self, service: str) -> list[str]:
        """``healthy``, ``starting`` or ``unhealthy`` for each container of the service."""
        format_ = "{{.State.Health.Status}}"
        return [self.run(["docker", "inspect", "-f", format_, each]).strip() for each in self.containers(service)]

    def logs(self, service: str) -> str:
        """Everything that its containers have said."""
        return self.compose("logs", "--no-color", service)

    def stored(self) -> dict[str, int]:
        """Event id → how many times the example handler was given it."""
        lines = self.exec("worker", "python", "-c", _STORED).split("\n")
        return {event: int(times) for event, _, times in (line.partition(" ") for line in lines if line)}

    def readiness(self) -> dict[str, Any]:
        """What the first ingest's ``/readyz`` says."""
        question = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8081/readyz').read().decode())"
        answer: dict[str, Any] = json.loads(self.exec("ingest", "python", "-c", question))
        return answer

    @property
    def web_url(self) -> str:
        """The page, with its password in it, as a browser takes it."""
        password = self.exec("web", "cat", "/etc/ackfirst/web-password").strip()
        return f"http://ackfirst:{password}@127.0.0.1:{self._ports['WEB']}"

    def rq_dashboard(self, path: str) -> Any:
        """A part of rq-dashboard's JSON."""
        credentials, _, place = self.web_url.removeprefix("http://").partition("@")
        token = b64encode(credentials.encode()).decode()
        request = urllib.request.Request(f"http://{place}{path}", headers={"Authorization": f"Basic {token}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def prometheus(self, path: str) -> Any:
        """An answer of Prometheus' API; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ports['PROMETHEUS']}{path}", timeout=10) as response:
                return json.load(response)["data"]
        except (urllib.error.URLError, OSError):
            return None

    def configure(self, files: Mapping[str, str]) -> None:
        """Write files into ``config/``, as strictly as a careful operator does."""
        for name, text in files.items():
            path = self.folder / "config" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o600)


def _docker_with_compose(folder: Path, engine: Engine) -> Path:
    """Make a ``docker`` that knows ``compose``, where Compose is a program of its own; return its folder."""
    real = shutil.which("docker", path=engine.env.get("PATH"))
    place = folder / "bin"
    place.mkdir()
    (place / "docker").write_text(
        f'#!/bin/sh\n[ "${{1:-}}" = compose ] && shift && exec {" ".join(engine.compose)} "$@"\nexec {real} "$@"\n'
    )
    (place / "docker").chmod(0o755)
    return place


def _copy_of_the_project(folder: Path) -> None:
    """What git has or would take: no build of one's own, no data, no settings."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)  # src/ackfirst links to the rooms
