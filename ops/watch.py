"""Small duties of ``ackfirst dev`` that run beside its processes: say when all is up, restart a queue that died."""

import http.client
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from ackfirst.shared.embedded import EmbeddedServer
from ackfirst.shared.errors import ConfigurationError

#: Seconds to wait for ``/healthz``.
ANSWER: Final = 1.0


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def warning(self, event: str, /, **fields: Any) -> Any:
        """Something that was not meant to happen."""


class Watch:
    """Calls ``look`` every so many seconds in a thread of its own, while its ``with`` block runs.

    A ``look`` that returns True has seen enough and is not called again.
    """

    def __init__(self, look: Callable[[], bool], *, every: float) -> None:
        self._look = look
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            if self._look():
                return


def announce(places: Sequence[tuple[str, int]], say: Callable[[], None]) -> Callable[[], bool]:
    """A look that calls ``say`` once ``/healthz`` answers 200 at each of ``places`` (host, port)."""

    def look() -> bool:
        up = all(is_healthy(host, port) for host, port in places)
        if up:
            say()
        return up

    return look


def revive(server: EmbeddedServer, log: Log) -> Callable[[], bool]:
    """A look that starts the embedded server again when it has died."""

    def look() -> bool:
        try:
            if server.restart_if_dead():
                log.warning("queue.restarted", pid=server.pid)
        except ConfigurationError as error:
            log.warning("queue.not-restarted", error=str(error))
        return False

    return look


def is_healthy(host: str, port: int) -> bool:
    """Whether ``GET /healthz`` is answered with 200 there."""
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
