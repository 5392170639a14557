"""Start the embedded server, or adopt one that a killed process left behind, and stop it cleanly.

Two locks in its folder tell the state: ``owner.lock`` is held by the process that uses the server, ``server.lock`` by
the server itself, which inherits the open file and so holds it for exactly as long as it lives. A process id in a file
would not do: by now it may be another process's.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ackfirst.shared.embedded import config, socket_path
from ackfirst.shared.embedded.binary import find_binary
from ackfirst.shared.embedded.lock import FileLock
from ackfirst.shared.embedded.output import Output
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.private_folder import make_private_folder

#: Time between two checks of a server that starts or stops.
POLL_SECONDS: Final = 0.02

#: Longest silence of a server that starts. Reading its file does not count: that can take minutes.
SILENCE_SECONDS: Final = 15.0

#: Longest wait for one reply.
REPLY_SECONDS: Final = 2.0


def server_folder(data_dir: Path) -> Path:
    """Return the folder in which the server of a data folder keeps its data."""
    return data_dir.resolve() / "valkey"


def unix_url(socket: Path) -> str:
    """Return the Redis URL of a server on ``socket``."""
    return f"unix://{quote(os.fsencode(socket))}"


def probe(socket: Path) -> Literal["ready", "loading", "silent"]:
    """Ask the server on ``socket`` for its state; ``silent`` also if there is none."""
    try:
        with _client(socket) as client:
            client.ping()
    except redis.BusyLoadingError:
        return "loading"
    except redis.RedisError:
        return "silent"
    return "ready"


def _client(socket: Path) -> redis.Redis:
    return redis.Redis(
        unix_socket_path=os.fspath(socket),
        socket_timeout=REPLY_SECONDS,
        socket_connect_timeout=REPLY_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class EmbeddedServer:
    """One server with its data in ``data_dir/valkey``, for this process alone; a context manager that starts and stops.

    ``pid`` and ``adopted`` mean something after :meth:`start`.
    """

    def __init__(
        self, data_dir: Path, *, binary: Callable[[], Path] = find_binary, patience: float = SILENCE_SECONDS
    ) -> None:
        self.folder = server_folder(data_dir)
        self.adopted = False
        self.pid = 0
        self._binary = binary
        self._patience = patience
        self._socket = self.folder
        self._owner = FileLock(self.folder / "owner.lock")
        self._server = FileLock(self.folder / "server.lock")
        self._output = Output(self.folder / "server.log")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The server's Redis URL."""
        return unix_url(self._socket)

    def start(self) -> None:
        """Start the server, or adopt a running one; return when it answers.

        Raises:
            ConfigurationError: Another process uses the folder, it cannot be used at all, or no server starts in it.
        """
        self._claim_folder()
        try:
            self._socket = socket_path.choose(self.folder)
            self._bring_up()
        except BaseException:
            self.stop()
            raise

    def restart_if_dead(self) -> bool:
        """Start the server again if it has died; return whether it had.

        Raises:
            ConfigurationError: As for :meth:`start`.
        """
        if not self._is_gone():
            return False
        self._bring_up()
        return True

    def stop(self, timeout: float = 10.0) -> None:
        """Stop the server, by force after ``timeout`` seconds, and release the folder. May be called again."""
        if self.pid and not self._is_gone():
            os.kill(self.pid, signal.SIGTERM)
            if not self._wait_until_gone(timeout):
                os.kill(self.pid, signal.SIGKILL)
                self._wait_until_gone(timeout)
        if self.pid:
            socket_path.remove(self._socket, self.folder)
        self.pid = 0
        self._owner.release()

    def _claim_folder(self) -> None:
        try:
            # Redis never syncs the name of this folder of its own: a power loss after its first start could take it.
            make_private_folder(self.folder / "appendonlydir")
            claimed = self._owner.take()
            if claimed:
                self._owner.sign(os.getpid())
        except OSError as error:
            raise ConfigurationError(
                f"cannot use the data folder {self.folder}: {error.strerror}, check ACKFIRST_DATA_DIR"
            ) from error
        if not claimed:
            raise ConfigurationError(
                f"the data folder {self.folder.parent} is in use by another ackfirst ({self._owner.signature()}): "
                "stop that one, or set ACKFIRST_DATA_DIR to another folder"
            )

    def _bring_up(self) -> None:
        deadline = time.monotonic() + self._patience
        while not self._server.take():
            state = probe(self._socket)
            if state == "ready":
                self._adopt()
                return
            if state == "silent" and time.monotonic() > deadline:
                raise ConfigurationError(
                    f"a server that was left behind in {self.folder} does not answer ({self._server.signature()}): "
                    "end it and start again"
                )
            time.sleep(POLL_SECONDS)
        self._launch()
        self._wait_until_ready()

    def _adopt(self) -> None:
        with _client(self._socket) as client:
            self.pid = int(client.info("server")["process_id"])
        self.adopted = True
        self._process = None

    def _launch(self) -> None:
        binary = self._binary()
        try:
            self._socket.unlink(missing_ok=True)
            settings = self.folder / "server.conf"
            settings.write_bytes(
                config.render(folder=self.folder, socket=self._socket, max_memory=config.half_of_the_memory())
            )
            with self._output.open() as output:
                # A session of its own: Ctrl-C must not end it before the processes that still write to it.
                self._process = subprocess.Popen(  # noqa: S603 - the binary that we have just looked up
                    [binary, settings],
                    # A server does not start with a locale that the machine does not have.
                    env={**os.environ, "LC_ALL": "C"},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(self._server.fileno(),),
                )
        except OSError as error:
            raise ConfigurationError(
                f"cannot start {binary} in {self.folder}: {error.strerror}, check ACKFIRST_DATA_DIR"
            ) from error
        finally:
            self._server.release()
        self.pid = self._process.pid
        self._server.sign(self.pid)
        self.adopted = False

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._patience
        while (state := probe(self._socket)) != "ready":
            if self._is_gone() or (state == "silent" and time.monotonic() > deadline):
                raise ConfigurationError(
                    f"the embedded server did not start: {self._output.last_line()} (log: {self._output.path})"
                )
            time.sleep(POLL_SECONDS)

    def _is_gone(self) -> bool:
        # A child of ours must be waited for, or it stays a zombie.
        return self._process.poll() is not None if self._process else self._server.is_free()

    def _wait_until_gone(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not self._is_gone():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True
