"""A master, a replica and a Sentinel as real processes on loopback ports."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import redis

from shared.embedded.binary import find_binary
from shared.free_port import free_port
from tests.support.waiting import wait_until

SERVICE: Final = "events"

_SERVER: Final = """
bind 127.0.0.1
port {port}
dir "{folder}"
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
repl-diskless-sync-delay 0
repl-ping-replica-period 1
"""
_SENTINEL: Final = """
bind 127.0.0.1
port {port}
dir "{folder}"
sentinel monitor {service} 127.0.0.1 {master} 1
sentinel down-after-milliseconds {service} 1000
sentinel failover-timeout {service} 5000
"""


class Watched:
    """One master with one replica under one Sentinel; ``url`` is what ackfirst is given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.servers = (free_port(), free_port())
        self._sentinel = free_port()
        self.url = f"redis+sentinel://127.0.0.1:{self._sentinel}/{SERVICE}/0"

    def __enter__(self) -> Self:
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
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        return redis.Redis(port=port, socket_timeout=5, retry=None)

    def _start(self, port: int, text: str, *options: str, **values: object) -> None:
        folder = self._folder / str(port)
        folder.mkdir()
        config = folder / "conf"
        config.write_text(text.format(port=port, folder=folder, service=SERVICE, **values))
        with (folder / "log").open("wb") as log:
            self._processes[port] = subprocess.Popen(
                [find_binary(), config, *options], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def _answers(self, port: int) -> bool:
        try:
            with self.client(port) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _knows_the_replica(self) -> bool:
        with self.client(self._sentinel) as sentinel:
            return len(sentinel.execute_command("SENTINEL", "REPLICAS", SERVICE)) == 1
