"""A master, a replica and a Sentinel as real processes on loopback ports."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import redis

from shared.embedded.binary import find_binary
from shared.free_port import free_port
from tests.support.certificates import Authority
from tests.support.tls_redis import tls_lines, tls_server
from tests.support.waiting import wait_until

SERVICE: Final = "events"

_SERVER: Final = """
{listen}
dir "{folder}"
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
repl-diskless-sync-delay 0
repl-ping-replica-period 1
"""
_SENTINEL: Final = """
{listen}
dir "{folder}"
sentinel monitor {service} 127.0.0.1 {master} 1
sentinel down-after-milliseconds {service} 1000
sentinel failover-timeout {service} 5000
"""

#: With ``guarded_by``: of the servers, of the Sentinel. The space has to be percent-encoded in a URL.
PASSWORD: Final = "berth 7"
SENTINELS_PASSWORD: Final = "look out"


class Watched:
    """One master with one replica under one Sentinel; ``url`` is what ackfirst is given.

    With ``guarded_by`` all of them speak TLS only, with certificates of that authority, and want a password.
    """

    def __init__(self, folder: Path, *, guarded_by: Authority | None = None) -> None:
        self._folder = folder
        self._authority = guarded_by
        self._certificate = guarded_by.certificate() if guarded_by else None
        self._binary = tls_server() if guarded_by else find_binary()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.servers = (free_port(), free_port())
        self._sentinel = free_port()
        where = f"127.0.0.1:{self._sentinel}/{SERVICE}/0"
        self.url = f"redis+sentinel://{where}"
        if guarded_by:
            options = f"ssl=true&ssl_ca_certs={guarded_by.file}&sentinel_password={quote(SENTINELS_PASSWORD)}"
            self.url = f"redis+sentinel://:{quote(PASSWORD)}@{where}?{options}"

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def _begin(self) -> None:
        first, second = self.servers
        self._start(first, _SERVER)
        self._start(second, _SERVER + f"replicaof 127.0.0.1 {first}\n")
        for port in self.servers:
            wait_until(lambda port=port: self._answers(port), timeout=15)
        with self.client(second) as replica:
            wait_until(lambda: replica.info("replication")["master_link_status"] == "up", timeout=20)
        self._start(self._sentinel, _SENTINEL, "--sentinel", master=first)
        wait_until(lambda: self._answers(self._sentinel), timeout=15)
        wait_until(self._knows_the_replica, timeout=30)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait(timeout=10)

    @property
    def master(self) -> int:
        """Port of the server that the Sentinel calls the master."""
        with self.client(self._sentinel) as sentinel:
            return int(sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def kill(self, port: int) -> None:
        """kill -9 of a server."""
        self._processes[port].kill()
        self._processes[port].wait(timeout=10)

    def client(self, port: int) -> redis.Redis:
        """A client of one server, whoever it is."""
        guarded: dict[str, Any] = {}
        if self._authority:
            password = SENTINELS_PASSWORD if port == self._sentinel else PASSWORD
            guarded = {"ssl": True, "ssl_ca_certs": str(self._authority.file), "password": password}
        return redis.Redis("127.0.0.1", port, socket_timeout=5, retry=None, **guarded)

    def _start(self, port: int, text: str, *options: str, **values: object) -> None:
        folder = self._folder / str(port)
        folder.mkdir()
        config = folder / "conf"
        listen = self._listen(port)
        config.write_text(text.format(listen=listen, folder=folder, service=SERVICE, **values) + self._secrets(port))
        with (folder / "log").open("wb") as log:
            self._processes[port] = subprocess.Popen(
                [self._binary, config, *options], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def _listen(self, port: int) -> str:
        if self._authority and self._certificate:
            return tls_lines(port, self._certificate, self._authority.file)
        return f"bind 127.0.0.1\nport {port}"

    def _secrets(self, port: int) -> str:
        if not self._authority:
            return ""
        if port == self._sentinel:
            return f'requirepass "{SENTINELS_PASSWORD}"\nsentinel auth-pass {SERVICE} "{PASSWORD}"\n'
        return f'requirepass "{PASSWORD}"\nmasterauth "{PASSWORD}"\n'

    def _answers(self, port: int) -> bool:
        try:
            with self.client(port) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _knows_the_replica(self) -> bool:
        with self.client(self._sentinel) as sentinel:
            return len(sentinel.execute_command("SENTINEL", "REPLICAS", SERVICE)) == 1
