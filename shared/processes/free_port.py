"""A free port for a process that is started on purpose beside others: a demo, a measurement, a test."""

import random
import socket
from contextlib import suppress

#: Below those that Linux, macOS and the BSDs give to outgoing connections, one of which may take a port in between.
_RANGE = range(20_000, 32_000)


def free_port() -> int:
    """A loopback port on which nobody listens at this moment."""
    while True:
        port = random.choice(_RANGE)  # noqa: S311 - no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
