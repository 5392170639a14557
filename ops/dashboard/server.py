"""Serves the dashboard with waitress until a signal says stop."""

import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

import waitress
from flask import Flask

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.processes.signals import SignalInbox
from ackfirst.shared.settings.types import Address

_THREADS: Final = 8

#: Bytes; the buttons send none.
_LARGEST_BODY: Final = 16 * 1024

#: Seconds that requests in progress get when the process is told to stop.
_GRACE: Final = 1.0

#: Seconds between two looks at whether the server still runs.
_LOOK: Final = 1.0


def listen(address: Address) -> socket.socket:
    """Open the listening socket.

    Raises:
        ConfigurationError: The address cannot be used, most often because another process listens there.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family)
    except (OSError, UnicodeError) as error:
        # Python adds the address to the system's words, which the sentence holds already.
        reason = str(getattr(error, "strerror", error)).partition(" (while")[0]
        raise ConfigurationError(
            f"the dashboard cannot listen on {address}: {reason}, check ACKFIRST_DASHBOARD_LISTEN or --listen"
        ) from error


def is_exposed(host: str) -> bool:
    """Whether others than this machine can reach a listening socket, by its address in numbers."""
    return not ipaddress.ip_address(host.partition("%")[0]).is_loopback


def serve(app: Flask, listener: socket.socket, *, started: Callable[[], None]) -> None:
    """Answer requests until SIGTERM or SIGINT (main thread only); ``started`` is called when the first can come."""
    server: Any = waitress.create_server(
        app, sockets=[listener], threads=_THREADS, max_request_body_size=_LARGEST_BODY, ident=None
    )
    # In a thread of its own: waitress's way to stop is to wait up to five seconds for a view that waits for Redis.
    loop = threading.Thread(target=server.run, name="dashboard", daemon=True)
    with SignalInbox() as inbox:
        loop.start()
        started()
        while not inbox.stop_requests:
            inbox.wait(_LOOK)
            if not loop.is_alive():
                raise RuntimeError("the dashboard's server ended by itself; the log says why")
    server.task_dispatcher.shutdown(timeout=_GRACE)
