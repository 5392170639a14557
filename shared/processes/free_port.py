"""Find a free port for a process of a demo, a measurement or a test."""

import random
import socket
from contextlib import suppress

#: Below the ports that Linux, macOS and the BSDs give to outgoing connections: one of those could take the port before
#: its process listens.
_RANGE = range(20_000, 32_000)


def free_port() -> int:
    """Return a loopback port that no process listens on at this moment."""
    while True:
        port = random.choice(_RANGE)  # noqa: S311 - no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
