"""A master, replicas and Sentinels as real processes on loopback ports."""

import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import redis

from ackfirst.shared.embedded.binary import find_binary
from tests.support.certificates import Authority
from tests.support.ports import free_port
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
sentinel monitor {service} 127.0.0.1 {master} {quorum}
sentinel down-after-milliseconds {service} 1000
sentinel failover-timeout {service} 5000
"""

#: With ``guarded_by``: of the servers, of the Sentinel. The space has to be percent-encoded in a URL.
PASSWORD: Final = "berth 7"
SENTINELS_PASSWORD: Final = "look out"


class Watched:
    """A master with ``replicas`` under ``sentinels``; ``url`` is what ackfirst is given.

    With ``guarded_by`` all of them speak TLS only, with certificates of that authority, and want a password. ``lines``
    are further ones in the configuration of each server. ``address`` is the port at which the others are told that the
    first master is, for a proxy in front of it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        replicas: int = 1,
        sentinels: int = 1,
        lines: str = "",
        guarded_by: Authority | None = None,
        address: int | None = None,
    ) -> None:
        self._folder = folder
        self._lines = lines
        self._authority = guarded_by
        self._certificate = guarded_by.certificate() if guarded_by else None
        self._binary = tls_server() if guarded_by else find_binary()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.servers = [free_port() for _ in range(1 + replicas)]
        self._address = address or self.servers[0]
        self._sentinels = [free_port() for _ in range(sentinels)]
        where = f"{','.join(f'127.0.0.1:{port}' for port in self._sentinels)}/{SERVICE}/0"
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
        first, *others = self.servers
        self._start(first, _SERVER + self._lines)
        for port in others:
            self._start(port, f"{_SERVER}{self._lines}\nreplicaof 127.0.0.1 {self._address}\n")
        for port in self.servers:
            self._wait_for(port)
        for port in others:
            with self.client(port) as replica:
                wait_until(
                    lambda replica=replica: replica.info("replication")["master_link_status"] == "up", timeout=20
                )
        for port in self._sentinels:
            self._start(port, _SENTINEL, "--sentinel", master=self._address, quorum=len(self._sentinels) // 2 + 1)
        for port in self._sentinels:
            self._wait_for(port)
            wait_until(lambda port=port: self._knows_all(port), timeout=40)

    def _wait_for(self, port: int) -> None:
        wait_until(lambda: self._answers(port), timeout=15, message=f"the server on port {port} answers PING")

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
        """Port of the server that the first Sentinel calls the master."""
        with self.client(self._sentinels[0]) as sentinel:
            return int(sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def kill(self, port: int) -> None:
        """kill -9 of a server."""
        self._processes[port].kill()
        self._processes[port].wait(timeout=10)

    def destroy(self, port: int) -> None:
        """End a server and everything that it has on its disk: its machine is gone."""
        self.kill(port)
        shutil.rmtree(self._folder / str(port))

    def add_replica(self) -> None:
        """Start an empty server that follows the present master."""
        port = free_port()
        self.servers.append(port)
        self._start(port, f"{_SERVER}{self._lines}\nreplicaof 127.0.0.1 {self.master}\n")
        self._wait_for(port)

    def revive(self, port: int) -> None:
        """Start a server that was killed, with its data."""
        self._run(port)
        self._wait_for(port)

    def client(self, port: int) -> redis.Redis:
        """A client of one server, whoever it is."""
        guarded: dict[str, Any] = {}
        if self._authority:
            password = SENTINELS_PASSWORD if port in self._sentinels else PASSWORD
            guarded = {"ssl": True, "ssl_ca_certs": str(self._authority.file), "password": password}
        return redis.Redis("127.0.0.1", port, socket_timeout=5, retry=None, **guarded)

    def _start(self, port: int, text: str, *options: str, **values: object) -> None:
        folder = self._folder / str(port)
        folder.mkdir()
        config = folder / "conf"
        listen = self._listen(port)
        config.write_text(text.format(listen=listen, folder=folder, service=SERVICE, **values) + self._secrets(port))
        self._run(port, *options)

    def _run(self, port: int, *options: str) -> None:
        config = self._folder / str(port) / "conf"
        with config.with_name("log").open("ab") as log:
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
        if port in self._sentinels:
            return f'requirepass "{SENTINELS_PASSWORD}"\nsentinel auth-pass {SERVICE} "{PASSWORD}"\n'
        return f'requirepass "{PASSWORD}"\nmasterauth "{PASSWORD}"\n'

    def _answers(self, port: int) -> bool:
        try:
            with self.client(port) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _knows_all(self, port: int) -> bool:
        with self.client(port) as sentinel:
            known = [len(sentinel.execute_command("SENTINEL", kind, SERVICE)) for kind in ("REPLICAS", "SENTINELS")]
        return known == [len(self.servers) - 1, len(self._sentinels) - 1]
