"""A real Valkey or Redis that a test starts, stops, kills and freezes. Unix socket only: it never meets a port."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import redis
import redis.asyncio

from ackfirst.shared.embedded.binary import find_binary
from tests.support.waiting import wait_until


class RedisProcess:
    """One server with its own data folder and socket, AOF ``always``, ``noeviction``.

    ``options`` are further configuration lines, for example ``{"maxmemory": "4mb"}``. ``data`` is where its files go,
    if not to ``folder``, and ``env`` what is added to its environment.
    """

    def __init__(
        self, folder: Path, *, data: Path | None = None, env: Mapping[str, str] | None = None, **options: str
    ) -> None:
        self.folder = folder
        self.data = data or folder
        self.env = env or {}
        self.socket = folder / "s"
        self.options = {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
            "hash-max-listpack-value": "2048",
            "stream-node-max-bytes": "256",
            **options,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> "RedisProcess":
        self.socket.unlink(missing_ok=True)
        lines = [f"{name} {value or chr(34) * 2}" for name, value in self.options.items()]
        lines += [f'dir "{self.data}"', f'unixsocket "{self.socket}"', f'logfile "{self.folder}/server.log"']
        config = self.folder / "server.conf"
        config.write_text("\n".join(lines))
        self._process = subprocess.Popen(
            [find_binary(), config],
            env={**os.environ, **self.env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._answers, timeout=15, message="the test's Redis answers PING")
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "server.log").read_text()[-800:]
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=10, retry=None)

    def async_client(self) -> redis.asyncio.Redis:
        return redis.asyncio.Redis(unix_socket_path=str(self.socket), socket_timeout=10)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, signum: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(signum)
        self._process.wait(timeout=15)
        self._process = None
