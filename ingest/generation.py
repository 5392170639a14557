"""Report data loss in Redis (wiped or rolled back) immediately, also when it happened while ingest was down."""

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge

from ackfirst.ingest.request_log import Log
from ackfirst.shared.queue.generation import Generation, Kind

_NAME: Final = "redis-generation.json"

#: Seconds between two notes of a counter that has grown.
NOTE_INTERVAL: Final = 60.0

_CHECK: Final = {
    "wiped": "the volume of Redis, its append-only file, who called FLUSHALL, a failover to an empty replica",
    "rolled-back": "the end of Redis's append-only file, a failover to a replica that lagged behind",
}


class GenerationWatch:
    """What is remembered of one Redis, in memory and in the data folder.

    Args:
        folder: The data folder.
        url: Which Redis it is: another one is no loss.
        log: Is told once for each loss.
        registry: Where losses are counted.
        clock: Unix seconds.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        log: Log,
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = folder / _NAME
        self._redis = fingerprint(url)
        self._log = log
        self._clock = clock
        self._losses = Counter(
            "ackfirst_redis_data_losses", "How often Redis was found to have lost data", ["kind"], registry=registry
        )
        self._lost_at = Gauge(
            "ackfirst_redis_data_lost_timestamp_seconds",
            "Unix time at which Redis was last found to have lost data; 0 while it was not",
            ["kind"],
            registry=registry,
            multiprocess_mode="max",
        )
        for kind in get_args(Kind):
            self._losses.labels(kind)
            self._lost_at.labels(kind)
        self._known = self._remembered()
        self._noted = (self._known.marker, float("-inf"))
        self._lost: tuple[str, float] | None = None

    def observe(self, marker: str | None, rounds: int) -> None:
        """Take what Redis says. A missing marker is no news yet: whoever misses it makes a new one."""
        seen = self._known.rounds
        loss = self._known.observe(marker, rounds) if marker is not None else None
        if loss is not None:
            now = self._clock()
            self._lost = (loss.kind, now)
            self._losses.labels(loss.kind).inc()
            self._lost_at.labels(loss.kind).set(now)
            self._log.error(
                "redis.data-lost",
                kind=loss.kind,
                rounds_before=seen,
                rounds_now=rounds,
                consequence="events that waited there are gone; what comes now is queued and deduplicated as ever",
                check=_CHECK[loss.kind],
            )
        if marker is not None:
            self._note()

    def shown(self) -> dict[str, Any]:
        """For ``/readyz``: empty while nothing was lost."""
        if self._lost is None:
            return {}
        kind, when = self._lost
        return {"data_lost": kind, "data_lost_at": datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds")}

    def _remembered(self) -> Generation:
        with suppress(OSError, ValueError, KeyError, TypeError):
            noted = json.loads(self._file.read_text())
            if noted["redis"] == self._redis:
                return Generation(str(noted["marker"]), int(noted["rounds"]))
        return Generation()

    def _note(self) -> None:
        marker, at = self._noted
        now = time.monotonic()
        if marker == self._known.marker and now - at < NOTE_INTERVAL:
            return
        self._noted = (self._known.marker, now)
        note = {"redis": self._redis, "marker": self._known.marker, "rounds": self._known.rounds}
        with suppress(OSError):  # the spool speaks of a folder that cannot be written
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Each process of a group writes the same: the last one wins.
            new = self._file.with_suffix(f".{id(self):x}")
            new.write_text(json.dumps(note))
            new.replace(self._file)


def fingerprint(url: str) -> str:
    """Which Redis a URL names, without its password."""
    parts = urlsplit(url)
    place = f"{parts.scheme}|{parts.netloc.rpartition('@')[2]}|{parts.path}|{parts.query}"
    return hashlib.sha256(place.encode()).hexdigest()[:16]
