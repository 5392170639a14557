"""What ``/metrics`` shows: this process's own counts, or the sum over all processes that share the port."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from ackfirst.ingest.spool.meters import SpoolMeters
from ackfirst.shared.metrics import IngestMetrics, QueueSnapshot, SnapshotCollector

#: prometheus-client's own variable. It decides when it is imported where values live: set it before the process starts.
SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


class Exposition:
    """The metrics of this process and the text for Prometheus.

    Args:
        latest: The newest answer of Redis.
        shared_folder: Where the processes of a group keep their counts; None for a process on its own.
    """

    def __init__(self, latest: Callable[[], QueueSnapshot | None], *, shared_folder: Path | None = None) -> None:
        self.registry = own = CollectorRegistry()
        self.metrics = IngestMetrics(own)
        self.spool = SpoolMeters(own)
        self._shown = own if shared_folder is None else CollectorRegistry()
        self._shared_folder = shared_folder
        if shared_folder is None:
            ProcessCollector(registry=own)
        else:
            MultiProcessCollector(self._shown, str(shared_folder))  # type: ignore[no-untyped-call]
        self._shown.register(SnapshotCollector(latest))

    def text(self) -> bytes:
        """The exposition format."""
        if self._shared_folder is not None:
            forget_dead_processes(self._shared_folder)
        return generate_latest(self._shown)


def forget_dead_processes(folder: Path) -> None:
    """Take the gauges of killed processes out of the sum; their counters stay in it."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not _is_alive(pid):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
