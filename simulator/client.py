"""Send signed requests with aiohttp's client, and report each answer's status or why there was none."""

import asyncio
import errno
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp
from yarl import URL

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.signing import PATHS, Request

USER_AGENT: Final = "ackfirst-simulator"

#: A slow request's body is sent in that many pieces over that many seconds.
_SLOW_PIECES: Final = 5
_SLOW_SECONDS: Final = 2.0

#: Headers that Nexmo does not send, or not always: aiohttp must not add them.
_SKIPPED_HEADERS: Final = ("Accept-Encoding", "Content-Type")


#: Exceptions of aiohttp, the more special ones first → reason in the report.
_REASONS: Final = (
    ((aiohttp.ClientSSLError, ssl.SSLError), "TLS failed: check the certificate"),
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError), "connection closed"),
)


class UnreachableError(Exception):
    """The target gives no answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request."""

    status: int | None
    """None: no answer."""
    error: str | None = None
    """Why there was none."""


class Transport(Protocol):
    """Sends one request at a time for each caller. Implemented by ``Client``, and for measurements by ``bench``."""

    async def send(self, request: Request, *, slow: bool = False) -> Answer:
        """Send the request and wait for its answer. Never raises because of the receiver."""

    async def close(self) -> None:
        """Close all connections."""


class Client:
    """Connections to one target, with Nexmo's timeouts. Create it in a running event loop, and close it."""

    def __init__(self, target: URL, *, connect_timeout: float, answer_timeout: float) -> None:
        """Timeouts in seconds; ``answer_timeout`` limits the wait for the answer's next bytes."""
        self._base = str(target).rstrip("/")
        self._connect_timeout = connect_timeout
        self._answer_timeout = answer_timeout
        self._timeout = _timeout(connect_timeout, answer_timeout)
        # aiohttp's clock for the answer runs while the request's body is still being sent.
        self._slow_timeout = _timeout(connect_timeout, answer_timeout + _SLOW_SECONDS)
        self._session = aiohttp.ClientSession(
            # The sender limits requests in flight: a second limit here would count its wait as time to connect.
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
            skip_auto_headers=_SKIPPED_HEADERS,
            auto_decompress=False,
        )

    async def send(self, request: Request, *, slow: bool = False) -> Answer:
        """Send the request and wait for the end of its answer. Redirects are not followed."""
        url = URL(f"{self._base}{request.path}{'?' if request.query else ''}{request.query}", encoded=True)
        headers = request.headers
        data: bytes | AsyncIterator[bytes] | None = request.body if request.method == "POST" else None
        timeout = self._timeout
        if slow and data:
            timeout = self._slow_timeout
            # With a length, aiohttp sends an iterator's pieces as they are instead of chunked.
            headers, data = {**headers, "Content-Length": str(len(request.body))}, _slowly(request.body)
        try:
            async with self._session.request(
                request.method, url, data=data, headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                await response.read()
                return Answer(response.status)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            return Answer(None, f"no answer ({self._reason(error)})")

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    def _reason(self, error: Exception) -> str:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return f"not connected within {self._connect_timeout:g} s"
        if isinstance(error, TimeoutError):
            return f"within {self._answer_timeout:g} s"
        for kinds, reason in _REASONS:
            if isinstance(error, kinds):
                return reason
        return _os_reason(error) if isinstance(error, OSError) else "the answer is not HTTP"


async def probe(client: Transport, target: URL) -> None:
    """Send the empty GET with which Nexmo checks a URL when it is saved.

    Raises:
        UnreachableError: The target does not answer.
    """
    answer = await client.send(Request(method="GET", path=PATHS[Family.INBOUND_MESSAGE]))
    if answer.status is None:
        reason = (answer.error or "").removeprefix("no answer (").removesuffix(")")
        raise UnreachableError(f"no answer from {target}: {reason}")


def _timeout(connect: float, answer: float) -> aiohttp.ClientTimeout:
    # Above its threshold, aiohttp rounds timeouts up to whole seconds.
    return aiohttp.ClientTimeout(
        total=connect + answer, sock_connect=connect, sock_read=answer, ceil_threshold=float("inf")
    )


async def _slowly(body: bytes) -> AsyncIterator[bytes]:
    size = -(-len(body) // _SLOW_PIECES)
    for start in range(0, len(body), size):
        if start:
            await asyncio.sleep(_SLOW_SECONDS / (_SLOW_PIECES - 1))
        yield body[start : start + size]


def _os_reason(error: OSError) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = cause.errno or 0  # negative for errors of the name lookup, which have a text of their own
    if number in (errno.ECONNRESET, errno.EPIPE):
        return "connection reset"
    return os.strerror(number).lower() if number > 0 else str(cause.strerror or type(cause).__name__).lower()
