"""Bound the connections to the public port: how many, which one gives way, how long the first head may take."""

import resource
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

#: Seconds from the connection to the end of its first request's head.
HEAD_TIMEOUT_SECONDS: Final = 10.0

#: File descriptors beside the connections: Redis, the admin port, logs, the interpreter.
RESERVED_FILES: Final = 128

#: Connections that are looked at to make room for a new one, before the new one is refused.
LOOK_LIMIT: Final = 64


class Connection(Protocol):
    """A connection as the guard sees it."""

    def waits_for_its_peer(self) -> bool:
        """Return whether no request is being answered on it, so that closing it loses no answer."""

    def give_way(self) -> None:
        """Close at once, to make room for another one."""


class ConnectionGuard:
    """Bounds the open connections of one process.

    Above the limit, the connection that was answered (or opened) longest ago and waits for its peer gives way: a
    genuine sender sends its request within milliseconds, so thousands of idle connections do not keep it out.

    Args:
        limit: Most connections at a time.
        head_timeout: Seconds from the connection to the end of its first request's head.
        on_change: Called with the number of connections after each change.
        on_refuse: Called with the reason why a connection or request was refused: ``connection-limit``, ``gave-way``,
            ``head-timeout``, ``line-too-long`` or ``bad-request``.
    """

    def __init__(
        self,
        *,
        limit: int,
        head_timeout: float,
        on_change: Callable[[int], None],
        on_refuse: Callable[[str], None],
    ) -> None:
        self.limit = limit
        self.head_timeout = head_timeout
        self.refuse = on_refuse
        self._open: OrderedDict[Connection, None] = OrderedDict()
        self._on_change = on_change

    def admit(self, connection: Connection) -> bool:
        """Count a new connection, closing an older one if need be; False when there is no room."""
        if len(self._open) >= self.limit and not self._make_room():
            self.refuse("connection-limit")
            return False
        self._open[connection] = None
        self._on_change(len(self._open))
        return True

    def answered(self, connection: Connection) -> None:
        """Move a connection to the end of the line of those that give way."""
        if connection in self._open:
            self._open.move_to_end(connection)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that was admitted. One that gave way has left before."""
        if connection in self._open:
            del self._open[connection]
            self._on_change(len(self._open))

    def _make_room(self) -> bool:
        for _ in range(LOOK_LIMIT):
            oldest = next(iter(self._open))
            if oldest.waits_for_its_peer():
                self.refuse("gave-way")
                self.leave(oldest)
                oldest.give_way()
                return True
            self._open.move_to_end(oldest)
        return False


def room_for_connections(wanted: int) -> int:
    """Raise this process's limit of open files for ``wanted`` connections as far as allowed; return how many fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - RESERVED_FILES))
