"""A TCP proxy in front of Redis that can be slow, cut connections in the middle of a command, or lose what it holds."""

import asyncio
import socket
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

CHUNK: Final = 65_536
#: Close with a reset instead of an orderly end.
RESET: Final = struct.pack("ii", 1, 0)


class Proxy:
    """Runs in a thread of its own. Its manners are plain attributes, which any thread may set."""

    def __init__(self, port: int, upstream: Path | int, *, slow_replicas: bool = False) -> None:
        self.port = port
        self.delay = 0.0
        """Seconds by which every answer is late; with ``slow_replicas`` only what is sent to replicas."""
        self._slow_replicas = slow_replicas
        self.cut_after: int | None = None
        """Bytes of a connection's requests that reach Redis; the connection is then reset. None: all of them."""
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut_off()

    def reset_all(self) -> None:
        """Cut every connection that is open."""
        self._loop.call_soon_threadsafe(lambda: [_reset(writer) for writer in tuple(self._writers)])

    def cut_off(self) -> None:
        """Lose what is held, and let nothing through any more."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))  # the connections are closed
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if isinstance(self._upstream, int):
                redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
            else:
                redis_reader, redis_writer = await asyncio.open_unix_connection(str(self._upstream))
        except OSError:
            writer.close()
            return
        self._writers.add(writer)
        pace = _Pace(is_slow=not self._slow_replicas)
        back = asyncio.create_task(self._answers(redis_reader, writer, pace))
        try:
            await self._requests(reader, redis_writer, writer, pace)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            back.cancel()
            redis_writer.close()
            writer.close()

    async def _requests(
        self, reader: asyncio.StreamReader, redis: asyncio.StreamWriter, client: asyncio.StreamWriter, pace: "_Pace"
    ) -> None:
        passed = 0
        while data := await reader.read(CHUNK):
            pace.is_slow |= b"PSYNC" in data  # only a replica says so
            if self.cut_after is not None and passed + len(data) > self.cut_after:
                redis.write(data[: self.cut_after - passed])
                await redis.drain()
                _reset(client)
                return
            passed += len(data)
            redis.write(data)
            await redis.drain()

    async def _answers(self, redis: asyncio.StreamReader, client: asyncio.StreamWriter, pace: "_Pace") -> None:
        # One after the other: a slow server is slow for all that was asked of it, but its answers keep their order.
        pending: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = asyncio.create_task(self._send(pending, client))
        try:
            while data := await redis.read(CHUNK):
                pending.put_nowait((self._loop.time() + (self.delay if pace.is_slow else 0.0), data))
            client.close()
        except OSError:
            client.close()
        finally:
            sender.cancel()

    async def _send(self, pending: "asyncio.Queue[tuple[float, bytes]]", client: asyncio.StreamWriter) -> None:
        while True:
            due, data = await pending.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            client.write(data)


@dataclass(slots=True)
class _Pace:
    """Whether the answers of one connection are delayed."""

    is_slow: bool


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
