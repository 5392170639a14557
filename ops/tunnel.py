"""Open a public URL for an ingest on this machine, with an agent that the developer has installed.

Neither agent is a dependency: they are programs of their own, and a Python package that downloads one at its first use
would be a surprise. Facts about them: ngrok's local API (ngrok.com/docs/agent/api), cloudflared's quick tunnels.
"""

import http.client
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self
from urllib.parse import urlsplit

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.processes.parent_death import die_with

#: Where a running ngrok agent has its local API, unless its configuration says otherwise.
NGROK_API: Final = "127.0.0.1:4040"
#: Seconds that an agent may take to open a tunnel.
START_SECONDS: Final = 20.0
#: Seconds between two looks at an agent's API or log while it starts.
LOOK_SECONDS: Final = 0.1
#: Seconds that an agent has to end after SIGTERM before it is killed.
STOP_SECONDS: Final = 5.0
#: Seconds for one request to ngrok's local API.
API_SECONDS: Final = 2.0
#: Lines of an agent's log that are repeated when it does not start.
_LOG_LINES: Final = 5

#: Bytes that are read of an agent's log, and of an answer of its API: enough for a thousand tunnels.
READ_BYTES: Final = 1 << 20
#: Characters of a line of an agent's log that are repeated.
_LINE_LENGTH: Final = 300

#: Not `api.`, which cloudflared names when it could not reach it.
_QUICK_TUNNEL: Final = re.compile(r"https://(?!api\.)[a-z0-9-]{1,63}\.trycloudflare\.com(?![\w.-])")
#: A base URL of an agent. It is shown on a terminal and sent to Nexmo: nothing else may be in it.
_PUBLIC_URL: Final = re.compile(r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::\d{1,5})?/?")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - what ngrok says of our port
_NGROK_CONFIGS: Final = (".config/ngrok/ngrok.yml", "Library/Application Support/ngrok/ngrok.yml", ".ngrok2/ngrok.yml")

_NOTHING_FOUND: Final = (
    "no tunnel: no ngrok agent serves port {port}, and neither ngrok (with a token) nor cloudflared is installed. "
    "Install one (https://ngrok.com/download, then: ngrok config add-authtoken …; or cloudflared, which needs no "
    "account), or name the URL of a tunnel of your own: --tunnel https://…. Without a tunnel, "
    "`ackfirst simulate` sends signed callbacks to this machine"
)


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A public URL that leads to ingest."""

    url: str
    """Base URL, without a trailing slash."""
    agent: str
    """``ngrok``, ``cloudflared`` or ``given``."""
    is_temporary: bool
    """True if the name is lost with the agent; a callback to it then gets no answer and waits at Nexmo."""


class OpenTunnel:
    """Keeps a tunnel open while its ``with`` block runs.

    Args:
        kind: ``auto``, ``ngrok``, ``cloudflared``, or the https URL of a tunnel that is kept elsewhere.
        port: Local port of ingest.
        log_file: Where the agent's output goes.
        environ: Where programs and tokens are looked for, usually ``os.environ``.
        ngrok_api: Host and port of an ngrok agent that runs already.
    """

    def __init__(
        self, kind: str, *, port: int, log_file: Path, environ: Mapping[str, str], ngrok_api: str = NGROK_API
    ) -> None:
        self._kind = kind
        self._port = port
        self._log_file = log_file
        self._environ = environ
        self._ngrok_api = ngrok_api
        self._process: subprocess.Popen[bytes] | None = None
        self.tunnel: Tunnel
        """The tunnel, once the block has begun."""

    def __enter__(self) -> Self:
        """Find or open the tunnel.

        Raises:
            ConfigurationError: There is none to be had; the message says what was tried and what helps.
        """
        try:
            self.tunnel = self._open()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def has_ended(self) -> bool:
        """True if an agent was started and does not run any more."""
        return self._process is not None and self._process.poll() is not None

    def _open(self) -> Tunnel:
        if self._kind not in ("auto", "ngrok", "cloudflared"):
            return Tunnel(_given(self._kind), "given", is_temporary=False)
        if self._kind in ("auto", "ngrok"):
            url = ngrok_tunnel_to(self._port, self._ngrok_api)
            if url is not None:
                return _ngrok(url)
            if self._kind == "ngrok" or (self._has("ngrok") and has_ngrok_token(self._environ)):
                return _ngrok(self._start_ngrok())
        if self._kind == "cloudflared" or self._has("cloudflared"):
            return Tunnel(self._start_cloudflared(), "cloudflared", is_temporary=True)
        raise ConfigurationError(_NOTHING_FOUND.format(port=self._port))

    def _has(self, program: str) -> bool:
        return shutil.which(program, path=self._environ.get("PATH")) is not None

    def _start_ngrok(self) -> str:
        self._start("ngrok", "http", str(self._port), "--log", "stdout", "--log-format", "json")
        return self._wait_for(lambda: ngrok_tunnel_to(self._port, _web_service(self._log()) or self._ngrok_api))

    def _start_cloudflared(self) -> str:
        self._start("cloudflared", "tunnel", "--no-autoupdate", "--url", f"http://127.0.0.1:{self._port}")
        return self._wait_for(lambda: _first(_QUICK_TUNNEL, self._log()))

    def _start(self, program: str, *args: str) -> None:
        path = shutil.which(program, path=self._environ.get("PATH"))
        if path is None:
            raise ConfigurationError(f"{program} is not installed: it is not in PATH")
        self._log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _private(self._log_file) as output:
            self._process = subprocess.Popen(  # noqa: S603 - a program that the developer has named or installed
                [path, *args],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(self._environ),
                start_new_session=True,  # Ctrl-C is for us: the agent goes last
                preexec_fn=partial(die_with, os.getpid()),  # noqa: PLW1509 - no thread of ours runs yet
            )

    def _wait_for(self, look: Callable[[], str | None]) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            url = look()
            if url is not None:
                return url.rstrip("/")
            if self.has_ended:
                break
            time.sleep(LOOK_SECONDS)
        said = " / ".join(_shown(line) for line in _messages(self._log())[-_LOG_LINES:]) or "it said nothing"
        raise ConfigurationError(f"the tunnel agent opened no tunnel: {said} (all of it: {self._log_file})")

    def _log(self) -> str:
        with self._log_file.open("rb") as file:
            return file.read(READ_BYTES).decode("utf-8", errors="replace")

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def ngrok_tunnel_to(port: int, api: str) -> str | None:
    """Return the https URL of an ngrok agent's tunnel to a local port; None if there is no such agent or tunnel."""
    try:
        with closing(http.client.HTTPConnection(api, timeout=API_SECONDS)) as connection:
            connection.request("GET", "/api/tunnels")
            found = _parsed(connection.getresponse().read(READ_BYTES))
    except (OSError, http.client.HTTPException):
        return None
    tunnels = found.get("tunnels") if isinstance(found, dict) else None
    for tunnel in tunnels if isinstance(tunnels, list) else ():
        match tunnel:
            case {"public_url": str(url), "config": {"addr": str(target)}}:
                if _PUBLIC_URL.fullmatch(url) and _port_of(target) == port:
                    return url
    return None


def _parsed(text: str | bytes) -> Any:
    """Parse JSON; None for what is none. Another program may listen on the agent's port, and says what it likes."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _given(url: str) -> str:
    """Take the URL of a tunnel that is kept elsewhere.

    Raises:
        ConfigurationError: It is none that Nexmo could call.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and url.isprintable()
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigurationError(f"--tunnel {_shown(url)}: give auto, ngrok, cloudflared or a URL such as https://…")
    return url.rstrip("/")


def _shown(text: str) -> str:
    """Return a line that a terminal can show: of one length at most, and without control characters."""
    return "".join(char if char.isprintable() else "?" for char in text[:_LINE_LENGTH])


def has_ngrok_token(environ: Mapping[str, str]) -> bool:
    """Return True if ngrok knows an account: without one it refuses to open a tunnel (ERR_NGROK_4018)."""
    if environ.get("NGROK_AUTHTOKEN"):
        return True
    home = Path(environ.get("HOME") or "~").expanduser()
    return any(_mentions_token(home / name) for name in _NGROK_CONFIGS)


def _mentions_token(file: Path) -> bool:
    try:
        return "authtoken:" in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _ngrok(url: str) -> Tunnel:
    return Tunnel(url, "ngrok", is_temporary=False)  # each account has one fixed name


def _port_of(target: str) -> int | None:
    """Return the port of ``http://localhost:8080``, ``localhost:8080`` or ``8080``; None for another machine."""
    try:
        parts = urlsplit(target if "://" in target else f"http://localhost:{target.rpartition(':')[2]}")
        port = parts.port
    except ValueError:
        return None
    return port if parts.hostname in _LOOPBACK else None


def _log_records(log: str) -> Iterator[Mapping[str, Any]]:
    records = (_parsed(line) for line in log.splitlines())
    return (record for record in records if isinstance(record, dict))


def _web_service(log: str) -> str | None:
    """Return where an ngrok agent says that its local API is: it moves on when 4040 is in use."""
    found = (record.get("addr") for record in _log_records(log) if record.get("msg") == "starting web service")
    return next((address for address in found if isinstance(address, str) and _is_on_this_machine(address)), None)


def _is_on_this_machine(address: str) -> bool:
    try:
        parts = urlsplit(f"http://{address}")
        return parts.hostname in _LOOPBACK and bool(parts.port) and not parts.path
    except ValueError:
        return False


def _messages(log: str) -> list[str]:
    """Return the lines of an agent's log as a person would read them."""
    records = [str(record.get("err") or record.get("msg") or "") for record in _log_records(log)]
    return [text for text in records if text] or [line for line in log.splitlines() if line.strip()]


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[0] if found else None


def _private(file: Path) -> IO[bytes]:
    """Open a new file that only its owner can read: an agent's log names the account."""
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
