"""A handler that sleeps, as one that waits for another server, and then adds a byte to the file ``BENCH_DONE``."""

import os
import time

from ackfirst import Event, on

_SECONDS = float(os.environ["BENCH_SLEEP"])
# A command to Redis, which syncs each write, would take a part of the time that is measured.
_DONE = os.open(os.environ["BENCH_DONE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@on()
def sleep(event: Event) -> None:
    """Sleep and count."""
    time.sleep(_SECONDS)
    os.write(_DONE, b".")
