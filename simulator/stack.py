"""A whole ackfirst of one's own: ``ackfirst dev`` on free ports, with all its data in one folder."""

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ackfirst.shared.processes.free_port import free_port
from ackfirst.shared.processes.supervisor import reexec
from ackfirst.simulator.account import SigningAccount

#: Seconds. Starting takes two or three; a busy machine may need many more.
START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 45.0
POLL: Final = 0.1


#: How a command that cannot start begins its sentence.
_SENTENCE: Final = "ackfirst: "
#: Lines of the log that are shown when there is no such sentence.
_TAIL: Final = 5


class StackFailed(Exception):  # noqa: N818 - what happened, not a mistake
    """The stack did not start, or ended on its own; the message says what it said last."""


class Stack:
    """``ackfirst dev`` as a process of its own session, so that Ctrl-C in the terminal reaches only us."""

    def __init__(
        self,
        folder: Path,
        *,
        root: Path,
        account: SigningAccount,
        handlers: str,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``settings``: more of the environment."""
        self.folder = folder
        self.log = folder / "stack.log"
        self._root = root
        self._account = account
        self._handlers = handlers
        self._settings = settings
        self._ports = (0, 0, 0)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when callbacks are taken and a worker waits for events.

        Raises:
            StackFailed: It did not come up.
        """
        try:
            self._start_once()
        except StackFailed:
            # Another program may have taken a port between our look and the start: once more, with other ports.
            self.stop()
            self._start_once()

    def stop(self) -> None:
        """End it in order: what a worker has begun is finished. Harmless when nothing runs."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def url(self) -> str:
        """Base URL for callbacks."""
        return f"http://127.0.0.1:{self._ports[0]}"

    def readiness(self) -> dict[str, Any]:
        """What ``/readyz`` says; empty while nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self._ports[1], timeout=5)
        try:
            connection.request("GET", "/readyz")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        else:
            return found
        finally:
            connection.close()

    def is_idle(self) -> bool:
        """No event waits in any lane, neither for a worker nor for its retry."""
        lanes = self.readiness().get("lanes")
        return lanes is not None and not any(lane["waiting"] or lane["retries"] for lane in lanes.values())

    def _start_once(self) -> None:
        self._ports = (free_port(), free_port(), free_port())
        (self.folder / "ackfirst.toml").touch()
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                reexec("dev"),
                cwd=self._root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_ready()

    def _environment(self) -> dict[str, str]:
        """This one without the user's own settings: nothing of theirs is touched."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACKFIRST_")}
        public, admin, dashboard = (f"127.0.0.1:{port}" for port in self._ports)
        return {
            **inherited,
            "ACKFIRST_LISTEN": public,
            "ACKFIRST_ADMIN_LISTEN": admin,
            "ACKFIRST_DASHBOARD_LISTEN": dashboard,
            "ACKFIRST_DATA_DIR": str(self.folder),
            "ACKFIRST_CONFIG": str(self.folder / "ackfirst.toml"),
            "ACKFIRST_API_KEY": self._account.api_key,
            "ACKFIRST_SIGNATURE_SECRET": self._account.secret.decode(),
            "ACKFIRST_SMS_SIGNATURE_METHOD": self._account.sms_method,
            "ACKFIRST_HANDLERS": self._handlers,
            **self._settings,
        }

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self._is_ready():
            if self._process is None or self._process.poll() is not None:
                raise StackFailed(f"ackfirst dev ended while it started: {self._last_words()}")
            if time.monotonic() > deadline:
                raise StackFailed(f"ackfirst dev was not ready within {START_TIMEOUT:g} s: {self._last_words()}")
            time.sleep(POLL)

    def _is_ready(self) -> bool:
        found = self.readiness()
        return bool(found.get("ready")) and bool(found.get("workers"))

    def _last_words(self) -> str:
        """What the commands said to a person; failing that, the end of the log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        said = [line for line in lines if line.startswith(_SENTENCE)]
        return "\n".join(said[-1:] or lines[-_TAIL:]) or "it said nothing"
