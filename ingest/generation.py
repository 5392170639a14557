"""Report a Redis that has lost acknowledged events, at its next reply; also when it happened while ingest was down."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any, Final, get_args
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge

from ackfirst.ingest.request_log import Log
from ackfirst.shared.private_folder import make_private_folder
from ackfirst.shared.queue.generation import Generation, Kind, Loss, Position

_NAME: Final = "redis-generation.json"

#: A counter that has grown is written down after this time: so old is what a process that was killed has left behind.
NOTE_SECONDS: Final = 1.0

_CONSEQUENCE: Final = {
    "wiped": "all events that waited are gone; new ones are queued and deduplicated as before",
    "rolled-back": "so many of the newest acknowledged events are gone, unless a handler had run already; new ones are "
    "queued and deduplicated as before",
}

_CHECK: Final = {
    "wiped": "the volume of Redis, its append-only file, who called FLUSHALL, a failover to an empty replica",
    "rolled-back": "the end of Redis's append-only file, a failover to a replica that lagged behind",
}


class GenerationWatch:
    """Remembers marker and counter of one Redis, in memory and in the data folder, and reports a loss once.

    Args:
        folder: The data folder.
        url: The URL of that Redis: another Redis on purpose is no loss.
        log: Gets an error for each loss.
        registry: Gets the metrics of losses.
        clock: Returns Unix seconds.
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
        self._lost_events = Counter(
            "ackfirst_redis_lost_events",
            "Acknowledged events that a Redis that lost its newest writes no longer had, at the least",
            registry=registry,
        )
        self._known = self._remembered()
        self._noted = ""
        self._noted_at = float("-inf")
        self._writer: Thread | None = None
        self._lost: tuple[Loss, float] | None = None

    @property
    def position(self) -> Position:
        """Return the state that is known now; take it before a command is sent."""
        return self._known.position

    def observe(self, marker: str, acknowledged: int, *, since: Position) -> None:
        """Compare a marker and a counter of Redis with what was known at ``since``, and report a loss."""
        if loss := self._known.observe(marker, acknowledged, since=since):
            self._report(loss)
        self._note()

    def confirm(self, acknowledged: int, *, since: Position, added: int = 0) -> None:
        """Take the counter of a write's reply; a loss is reported at the next call of ``observe``."""
        self._known.confirm(acknowledged, since=since, added=added)

    def close(self) -> None:
        """Write down what is known, for the next process."""
        if self._known.marker is not None:
            self._write(self._text())

    def _report(self, loss: Loss) -> None:
        now = self._clock()
        self._lost = (loss, now)
        self._losses.labels(loss.kind).inc()
        self._lost_events.inc(loss.events)
        self._lost_at.labels(loss.kind).set(now)
        self._log.error(
            "redis.data-lost",
            kind=loss.kind,
            events=loss.events or None,
            consequence=_CONSEQUENCE[loss.kind],
            check=_CHECK[loss.kind],
        )

    def shown(self) -> dict[str, Any]:
        """Return fields for ``/readyz``; empty while nothing was lost."""
        if self._lost is None:
            return {}
        loss, when = self._lost
        return {
            "data_lost": loss.kind,
            "data_lost_at": datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds"),
            "events_lost": loss.events or None,
        }

    def _remembered(self) -> Generation:
        with suppress(OSError, ValueError, KeyError, TypeError):
            noted = json.loads(self._file.read_text())
            if noted["redis"] == self._redis:
                return Generation(str(noted["marker"]), int(noted["acknowledged"]))
        return Generation()

    def _note(self) -> None:
        """Write down what is known, at most once a second, in a thread: a disk that hangs must not hold up answers."""
        text, now = self._text(), time.monotonic()
        is_new = text != self._noted and now - self._noted_at >= NOTE_SECONDS
        if is_new and not (self._writer and self._writer.is_alive()):
            self._noted, self._noted_at = text, now
            self._writer = Thread(target=self._write, args=(text,), name="generation", daemon=True)
            self._writer.start()

    def _text(self) -> str:
        known = self._known
        return json.dumps({"redis": self._redis, "marker": known.marker, "acknowledged": known.acknowledged})

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the spool reports a folder that cannot be written
            if not self._file.parent.exists():
                make_private_folder(self._file.parent)
            # Each process of a group writes nearly the same; the last one wins.
            new = self._file.with_suffix(f".{os.getpid()}-{id(self):x}")
            new.write_text(text)
            new.replace(self._file)


def fingerprint(url: str) -> str:
    """Identify the Redis of a URL without user and password."""
    parts = urlsplit(url)
    place = f"{parts.scheme}|{parts.netloc.rpartition('@')[2]}|{parts.path}|{parts.query}"
    return hashlib.sha256(place.encode()).hexdigest()[:16]
