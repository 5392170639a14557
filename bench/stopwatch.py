"""A handler that writes down how long each event took to reach it, into the file that ``BENCH_TIMES`` names."""

import os
import time
from pathlib import Path

from ackfirst import Event, on

_FILE = Path(os.environ["BENCH_TIMES"]).open("a", buffering=1)  # noqa: SIM115 - as long as the worker lives


@on()
def note(event: Event) -> None:
    """Application, and seconds since ingest had read the callback."""
    _FILE.write(f"{event.application_id} {time.time() - event.received_at.timestamp():.6f}\n")
