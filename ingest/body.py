"""Read a request's body, byte for byte as it was on the wire, within limits of size, time and memory."""

import asyncio
from typing import Final

from aiohttp import StreamReader, web

#: Bytes of unfinished bodies that one process holds, over all connections. A callback has less than 10 KiB and usually
#: comes in one piece, which is not counted: only many slow senders of large bodies ever reach this.
UNFINISHED_LIMIT_BYTES: Final = 64 * 1024 * 1024


class BodyTooLargeError(Exception):
    """The body is larger than allowed; the rest of it is not read."""


class BodyTimeoutError(Exception):
    """The body did not arrive in time."""


class BodyBrokenError(Exception):
    """The body cannot be read to its end: the sender went away, or broke the framing."""


class BodyMemoryError(Exception):
    """Too many unfinished bodies are in memory already."""


class BodyReader:
    """Reads bodies for all connections of one process.

    Args:
        max_bytes: Largest body.
        timeout: Longest time for a body, in seconds, from the end of the head.
        unfinished_limit: Bytes of unfinished bodies, over all connections.
    """

    def __init__(self, *, max_bytes: int, timeout: float, unfinished_limit: int = UNFINISHED_LIMIT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._unfinished_limit = max(unfinished_limit, max_bytes)
        self._unfinished = 0

    async def read(self, request: web.BaseRequest) -> bytes:
        """Read the whole body.

        Raises:
            BodyTooLargeError: It is, or says that it is, larger than allowed.
            BodyTimeoutError: It did not arrive in time.
            BodyBrokenError: It will never be complete.
            BodyMemoryError: There is no memory for it now.
        """
        if (request.content_length or 0) > self._max_bytes:
            raise BodyTooLargeError
        content = request.content
        if content.at_eof():
            return b""
        if not content.is_eof():
            return await self._read_slowly(request)
        body = content.read_nowait()  # all of it arrived with the head
        if len(body) > self._max_bytes:  # chunked, without a Content-Length
            raise BodyTooLargeError
        return body

    async def _read_slowly(self, request: web.BaseRequest) -> bytes:
        await _say_continue(request)
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout):
                await self._collect(request.content, body)
        except TimeoutError:
            raise BodyTimeoutError from None
        except (web.RequestPayloadError, ConnectionError, RuntimeError) as error:
            # RuntimeError is what aiohttp's StreamReader raises when it is read after the connection was lost.
            raise BodyBrokenError from error
        finally:
            self._unfinished -= len(body)
        return bytes(body)

    async def _collect(self, content: StreamReader, body: bytearray) -> None:
        while chunk := await content.readany():
            body += chunk
            self._unfinished += len(chunk)
            if len(body) > self._max_bytes:
                raise BodyTooLargeError
            if self._unfinished > self._unfinished_limit:
                raise BodyMemoryError


async def _say_continue(request: web.BaseRequest) -> None:
    """Invite the body of a client that asks first (curl does above 1 MiB). aiohttp does it only for an Application."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
