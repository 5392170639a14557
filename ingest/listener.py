"""Listen on an address, and accept all connections that wait, not one in each turn of the event loop.

uvloop accepts one connection a turn. While a turn takes 50 ms, because other senders keep ingest busy, that is twenty a
second: at 100 new connections a second the rest waited until the others stopped. Measured with 300 busy connections and
600 new ones: the median answer to a callback came after 4.8 s, and after 0.25 s with this module alone.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

#: Connections that may wait to be accepted. The kernel caps it (net.core.somaxconn, usually 4096).
BACKLOG: Final = 4096

#: Most connections that are accepted in one turn: some 10 ms of work.
ACCEPT_LIMIT: Final = 128

#: Pause after an error, such as no file descriptor being left: the connection stays ready, and asking again at once
#: would take all of the processor's time.
PAUSE_SECONDS: Final = 0.1


class Listener:
    """Accepts the connections of one address, on one or more sockets.

    Args:
        protocol_factory: Makes the protocol of a connection.
    """

    def __init__(self, protocol_factory: Callable[[], asyncio.BaseProtocol]) -> None:
        self._protocol_factory = protocol_factory
        self._beginning: set[asyncio.Task[Any]] = set()
        self.sockets: list[socket.socket] = []

    async def start(self, host: str, port: int, *, reuse_port: bool) -> None:
        """Listen on every address that ``host`` stands for.

        Raises:
            OSError: One of them cannot be had.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
                self.sockets.append(
                    socket.create_server(address[:2], family=family, backlog=BACKLOG, reuse_port=reuse_port)
                )
        except OSError:
            self.close()
            raise
        for listening in self.sockets:
            listening.settimeout(0)
            loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Stop accepting."""
        for listening in self.sockets:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()

    async def begun(self) -> None:
        """Return when all connections that were accepted have their protocol."""
        while self._beginning:
            await asyncio.wait(self._beginning)

    def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(ACCEPT_LIMIT):
            try:
                connection, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                loop.remove_reader(listening)
                loop.call_later(PAUSE_SECONDS, self._go_on, listening)
                return
            connection.settimeout(0)
            task = loop.create_task(self._begin(connection))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol_factory, connection)
        except OSError:  # the sender has left already
            connection.close()

    def _go_on(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)
