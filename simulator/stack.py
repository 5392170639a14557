"""Run a private ackfirst for the demos: ``ackfirst dev`` on free ports, with all its data in one folder."""

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, Final

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.processes.free_port import free_port
from ackfirst.shared.processes.supervisor import reexec
from ackfirst.simulator.account import SigningAccount

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout, which has the example handlers: they are not installed."""

#: Starting takes two or three seconds; a busy machine may need many more.
START_TIMEOUT_SECONDS: Final = 60.0
STOP_TIMEOUT_SECONDS: Final = 45.0
POLL_SECONDS: Final = 0.1

#: Prefix of the sentence that a command prints when it cannot start.
_SENTENCE: Final = "ackfirst: "
#: Lines of the log that are shown when it has no such sentence.
_TAIL: Final = 5


class StackError(Exception):
    """The stack did not start; the message contains its own error message."""


class Stack:
    """``ackfirst dev`` in a session of its own, so that Ctrl-C in the terminal does not reach it directly."""

    def __init__(
        self,
        folder: Path,
        *,
        account: SigningAccount,
        handlers: str,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``settings`` are additional environment variables."""
        self.folder = folder
        self.log = folder / "stack.log"
        self._account = account
        self._handlers = handlers
        self._settings = settings
        self._ports = (0, 0, 0)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; return when ingest accepts callbacks and a worker waits for events.

        Raises:
            StackError: It did not start.
        """
        try:
            self._start_once()
        except StackError:
            # Another program may have taken one of the free ports before the stack did: retry with others.
            self.stop()
            self._start_once()

    def stop(self) -> None:
        """Stop it gracefully, so that running handlers end. Without effect if it does not run."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def url(self) -> str:
        """Base URL for callbacks."""
        return f"http://127.0.0.1:{self._ports[0]}"

    def readiness(self) -> dict[str, Any]:
        """Return the JSON of ``/readyz``; empty if it does not answer."""
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
        """Return whether no lane has an event that waits for a worker or for its retry."""
        lanes = self.readiness().get("lanes")
        return lanes is not None and not any(lane["waiting"] or lane["retries"] for lane in lanes.values())

    def _start_once(self) -> None:
        self._ports = (free_port(), free_port(), free_port())
        (self.folder / "ackfirst.toml").touch()
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                reexec("dev"),
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_ready()

    def environment(self) -> dict[str, str]:
        """Return the environment of its commands, without the user's own settings: their data is not touched."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACKFIRST_")}
        public, admin, page = (f"127.0.0.1:{port}" for port in self._ports)
        return {
            **inherited,
            "ACKFIRST_LISTEN": public,
            "ACKFIRST_ADMIN_LISTEN": admin,
            "ACKFIRST_WEB_LISTEN": page,
            "ACKFIRST_DATA_DIR": str(self.folder),
            "ACKFIRST_CONFIG": str(self.folder / "ackfirst.toml"),
            "ACKFIRST_API_KEY": self._account.api_key,
            "ACKFIRST_SIGNATURE_SECRET": self._account.secret.decode(),
            "ACKFIRST_SMS_SIGNATURE_METHOD": self._account.sms_method,
            "ACKFIRST_HANDLERS": self._handlers,
            **self._settings,
        }

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            found = self.readiness()
            if found.get("ready") and found.get("workers"):
                return
            if self._process is None or self._process.poll() is not None:
                raise StackError(f"ackfirst dev ended while it started: {self._error_message()}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"ackfirst dev was not ready within {START_TIMEOUT_SECONDS:g} s: {self._error_message()}"
                )
            time.sleep(POLL_SECONDS)

    def _error_message(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        sentences = [line for line in lines if line.startswith(_SENTENCE)]
        return "\n".join(sentences[-1:] or lines[-_TAIL:]) or "its log is empty"


def require_example(name: str) -> None:
    """Check that the sources of the examples are there.

    Raises:
        ConfigurationError: This is not a checkout.
    """
    if not (ROOT / "examples" / name).is_file():
        raise ConfigurationError(f"the demo needs examples/{name}: run it from a checkout of the sources")


def raise_interrupt(_signum: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM as Ctrl-C.

    An exception raised here could surface in any callback of the event loop; the handler of SIGINT cancels the run.
    """
    signal.raise_signal(signal.SIGINT)
