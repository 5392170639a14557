"""Check the record: does its store answer, is its schema ours, has it gaps, is there room on its disk."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from ackfirst.ops.doctor.machine import LITTLE_SPACE_BYTES
from ackfirst.shared.errors import ConfigurationError, StoreUnavailableError
from ackfirst.shared.findings import Finding, error, warning
from ackfirst.shared.queue import keys
from ackfirst.shared.settings import Settings
from ackfirst.shared.store import Gap, open_store

#: How far back gaps are looked for.
GAP_SECONDS: Final = 86_400.0

_SQLITE: Final = "sqlite:///"


@dataclass(frozen=True, slots=True)
class RecordReport:
    """The findings about the record, and the events of the last day that it lacks."""

    findings: list[Finding]
    gap_events: int = 0


async def look_at_record(redis: Redis, settings: Settings, *, now: float) -> RecordReport:
    """Look at the record's store.

    Raises:
        Exception: One of ``FAILURES``: Redis does not answer.
    """
    url = settings.record_url
    if url is None:
        return RecordReport([])
    findings = _disk(settings, url)
    try:
        gaps = await asyncio.to_thread(_gaps, url, now - GAP_SECONDS)
    except StoreUnavailableError as problem:
        what = f"{problem}: events are processed, and kept in Redis until it can be written"
        return RecordReport([*findings, error("record-unreachable", what, "start it, or check ACKFIRST_STORE_URL")])
    except ConfigurationError as problem:
        has_begun: Any = await redis.exists(keys.RECORDER)
        if has_begun:  # otherwise no worker has made it yet, and "workers-none" or nothing says so
            fix = "start ackfirst worker of this release, or check ACKFIRST_STORE_URL"
            findings.append(error("record-schema", str(problem), fix))
        return RecordReport(findings)
    return RecordReport(findings, sum(gap.count for gap in gaps))


def _gaps(url: str, since: float) -> list[Gap]:
    with open_store(url) as store:
        return store.gaps(since)


def _disk(settings: Settings, url: str) -> list[Finding]:
    """Check the disk of a record in a file; that of the data folder is checked already."""
    folder = Path(url.removeprefix(_SQLITE)).parent
    if not url.startswith(_SQLITE) or folder == settings.data_dir or not folder.exists():
        return []
    free = shutil.disk_usage(folder).free
    if free >= LITTLE_SPACE_BYTES:
        return []
    what = f"{folder}, the folder of the record, has {free / (1 << 20):.0f} MiB left: recording will stop"
    return [warning("record-disk", what, "make room, shorten ACKFIRST_STORE_KEEP, or move the record")]
