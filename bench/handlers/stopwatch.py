"""A handler that writes the time that each event took to reach it to the file ``BENCH_TIMES``.

Events of the application ``sleeping`` then keep their thread for ``SLEEP_SECONDS``.
"""

import os
import time
from pathlib import Path

from ackfirst import Event, on

SLEEP_SECONDS = 20.0

_FILE = Path(os.environ["BENCH_TIMES"]).open("a", buffering=1)  # noqa: SIM115 - open as long as the worker runs


@on(timeout=60)
def note(event: Event) -> None:
    """Write application and seconds since ingest had read the callback."""
    _FILE.write(f"{event.application_id} {time.time() - event.received_at.timestamp():.6f}\n")
    if event.application_id == "sleeping":
        time.sleep(SLEEP_SECONDS)
