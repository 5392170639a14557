"""Find a free port for a process of a demo, a measurement or a test."""

import random
import socket
from typing import Final

#: Below the ports that Linux, macOS and the BSDs give to outgoing connections: one of those could take the port before
#: its process listens.
PORTS: Final = range(20_000, 32_000)


def free_port() -> int:
    """Return a loopback port that no process listens on at this moment."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - no secret
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    """Return whether no process listens on a loopback port."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
