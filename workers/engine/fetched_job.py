"""A job that an engine has fetched."""

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import orjson

from ackfirst.shared.queue.job import FUNCTION
from ackfirst.shared.record import named_record, record
from ackfirst.shared.replay.job_field import JobReplay
from ackfirst.workers.processing.marks import Mark, read_marks
from ackfirst.workers.replies import text

#: Seconds, about thirty years: a longer timeout is a mistake.
_LONGEST: Final = 1_000_000_000


@named_record
class FetchedJob:
    """A job that Redis shows as running in this engine."""

    lane: str
    job_id: str
    execution_id: str
    data: bytes
    """As RQ has written it."""
    timeout: float
    """Seconds; 0 where the job says nothing, or that it may take for ever."""
    result_ttl: int
    """Seconds for which the finished job stays; 0 where that is not for us to tell."""
    has_killed: bool
    """Whether workers have died while they ran it."""
    marks: Mapping[str, Mark]
    replay: JobReplay | None
    """The replay that has queued it."""
    at: float
    """Monotonic seconds at which Redis was asked for it."""

    @classmethod
    def of(cls, lane: str, row: list[Any], *, at: float) -> Self:
        """Read what ``take.lua`` gave, after the lane's position."""
        job_id, execution_id, data, timeout, result_ttl, kills, marks, replay = row
        return cls(
            lane=lane,
            job_id=text(job_id),
            execution_id=text(execution_id),
            data=data or b"",
            timeout=_whole(timeout),
            result_ttl=_whole(result_ttl),
            has_killed=kills is not None,
            marks=read_marks(dict(zip(marks[::2], marks[1::2], strict=True))) if marks else {},
            replay=JobReplay.decode(replay),
            at=at,
        )

    def envelope_text(self) -> str | None:
        """The envelope; None for anything but a plain call of our one function, which RQ itself must judge."""
        return envelope_of(self.data)


def envelope_of(data: bytes) -> str | None:
    """Read the envelope's text in a job's data; None for anything but a plain call of our one function."""
    try:
        match _loads(data if data.startswith(b"[") else zlib.decompress(data)):
            case [str(name), None, [str(envelope)], dict(named)] if name == FUNCTION and not named:
                return envelope
    except (ValueError, zlib.error):
        pass
    return None


@record
class FetchResult:
    """The jobs that one take brought, and why there are not more."""

    jobs: Sequence[FetchedJob] = ()
    is_lonely: bool = False
    """A job waits until the engine has nothing else in flight."""
    is_full: bool = False
    """As many jobs came as were wanted, so more may wait."""


def _loads(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except ValueError:  # such as half of a surrogate pair, which RQ's serializer takes
        return json.loads(data)


def _whole(written: bytes | None) -> int:
    """0 also for what Redis would refuse as a life time: RQ judges it."""
    number = int(written) if written and written.isdigit() and len(written) <= len(str(_LONGEST)) else 0
    return number if number <= _LONGEST else 0
