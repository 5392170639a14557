"""HTTP by hand, for senders that a client library would not be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

PATIENCE = 15.0
#: Silence is waited for in so many pieces: an event loop that stalls, with the server in it, loses one of them.
SLICES = 10


@dataclass
class RawConnection:
    """One TCP connection to a loopback port."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self, *, quiet: float | None = None) -> bytes:
        """All that comes until the other side closes, or, if ``quiet`` is given, says nothing for so many seconds."""
        received = b""
        with suppress(ConnectionError):
            while chunk := await self._read(quiet):
                received += chunk
        return received

    async def _read(self, quiet: float | None) -> bytes:
        if quiet is None:
            async with asyncio.timeout(PATIENCE):
                return await self.reader.read(65536)
        for _ in range(SLICES):
            with suppress(TimeoutError):
                async with asyncio.timeout(quiet / SLICES):
                    return await self.reader.read(65536)
        return b""

    async def status(self) -> int:
        """The status of the next response; its head is read."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1])


@asynccontextmanager
async def raw_connection(port: int) -> AsyncIterator[RawConnection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.close()


def head(*lines: str, path: str = "/webhooks/inbound-message", method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode("utf-8", "surrogateescape")
