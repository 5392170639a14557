"""From a request to the bytes that go over the wire."""

from dataclasses import dataclass
from typing import Final

from yarl import URL

from ackfirst.simulator.signing import Request

USER_AGENT: Final = "ackfirst-simulator"


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests go: a base URL, taken apart."""

    host: str
    port: int
    tls: bool
    prefix: str
    """Path of the base URL without the slash at its end."""

    @classmethod
    def of(cls, url: URL) -> "Place":
        """Of an ``http`` or ``https`` URL with a host."""
        return cls(url.host or "", url.port or 0, url.scheme == "https", url.raw_path.rstrip("/"))

    @property
    def authority(self) -> str:
        """For the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def encode(request: Request, place: Place) -> bytes:
    """The whole request. The query goes out exactly as it was encoded."""
    target = f"{place.prefix}{request.path}{'?' if request.query else ''}{request.query}"
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    length = f"Content-Length: {len(request.body)}\r\n" if request.method == "POST" else ""
    head = (
        f"{request.method} {target} HTTP/1.1\r\nHost: {place.authority}\r\nUser-Agent: {USER_AGENT}\r\n"
        f"Accept: */*\r\n{headers}{length}\r\n"
    )
    return head.encode() + request.body
