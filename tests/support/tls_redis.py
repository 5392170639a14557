"""A real Redis that speaks TLS only, on a loopback port, behind a password."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest
import redis

from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.waiting import wait_until

#: What has to be percent-encoded in a URL, to see that it is.
PASSWORD: Final = "berth@7/тесно"
IN_URL: Final = "berth%407%2F%D1%82%D0%B5%D1%81%D0%BD%D0%BE"

SAFE: Final = 'appendonly yes\nappendfsync always\nsave ""\nmaxmemory-policy noeviction\n'


@cache
def tls_server() -> Path:
    """A server on PATH that was built with TLS, as Debian's ``redis-server`` is; the embedded one is not."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            # With TLS it misses the key; without it, it misses TLS.
            asked = [path, "--port", "0", "--tls-port", "1", "--tls-cert-file", "/nowhere"]
            said = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False).stdout
            if "tls-key-file" in said:
                return Path(path)
    pytest.skip("needs a Redis that was built with TLS on PATH: install Debian's redis-server")


def tls_lines(port: int, certificate: tuple[Path, Path], authority: Path) -> str:
    """The configuration of a server, or a Sentinel, that listens with TLS and speaks TLS to others."""
    return (
        f"bind 127.0.0.1\nport 0\ntls-port {port}\ntls-replication yes\ntls-auth-clients no\n"
        f'tls-cert-file "{certificate[0]}"\ntls-key-file "{certificate[1]}"\ntls-ca-cert-file "{authority}"\n'
    )


class TlsRedis:
    """One server with its own folder, which is made; ``days`` until its certificate expires."""

    def __init__(self, folder: Path, authority: Authority, *, days: int = 2) -> None:
        self._binary = tls_server()
        folder.mkdir()
        self._folder = folder
        self._authority = authority
        self._certificate = authority.certificate(folder.name, days=days)
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        config = self._folder / "conf"
        lines = tls_lines(self._port, self._certificate, self._authority.file)
        config.write_text(f'{lines}dir "{self._folder}"\nlogfile log\nrequirepass "{PASSWORD}"\n{SAFE}')
        self._process = subprocess.Popen([self._binary, config], stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            wait_until(self._answers, timeout=15, message="the test's Redis answers PING")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)

    def url(self, *, password: str = IN_URL, scheme: str = "rediss", authority: Path | None = None) -> str:
        """As ackfirst is given it."""
        return f"{scheme}://:{password}@127.0.0.1:{self._port}/0?ssl_ca_certs={authority or self._authority.file}"

    def client(self) -> redis.Redis:
        """A client that trusts whatever certificate it sees."""
        return redis.Redis(port=self._port, password=PASSWORD, ssl=True, ssl_cert_reqs="none", socket_timeout=5)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()[-800:]
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
