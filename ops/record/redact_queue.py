"""Take personal data out of the jobs in Redis, those that wait, wait for a retry, are dead or have ended."""

import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any, Final

from redis import Redis

from ackfirst.ops.record.job_parts import failures, job_text, read_envelope
from ackfirst.ops.record.live import pages
from ackfirst.ops.record.redacted import Person, redacted_envelope
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.failed_result import traceback_of
from ackfirst.shared.queue.job import job_data
from ackfirst.shared.queue.scripts import source
from ackfirst.shared.record import named_record
from ackfirst.shared.store.arrival import arrival_of
from ackfirst.shared.store.rows import Arrival

#: Seconds for which a job is waited for that a worker runs.
RUNNING_SECONDS: Final = 40.0
_LOOK_SECONDS: Final = 0.2
_SCANNED: Final = 1_000
_SCRIPT: Final = source("ackfirst.ops.record", "redact.lua")


@named_record
class QueueRedaction:
    """The jobs in Redis that were found."""

    jobs: int = 0
    """How many were redacted."""
    running: int = 0
    """How many workers kept until the end of our patience."""


class JobRedactor:
    """Redacts jobs. Raises ``RedisError`` when Redis does not answer; safe to repeat.

    ``found`` is called with every event that is meant, before it is redacted.
    """

    def __init__(self, redis: Redis, person: Person, key: bytes, *, found: Callable[[Arrival], object]) -> None:
        self._redis = redis
        self._person = person
        self._key = key
        self._found = found
        self._script = redis.register_script(_SCRIPT)

    def run(self, *, dry_run: bool = False, patience: float = RUNNING_SECONDS) -> QueueRedaction:
        """Look through all jobs, and redact those that are meant; wait for those that a worker runs."""
        jobs = 0
        busy: list[str] = []
        for job_id, data in self._meant():
            if dry_run:
                jobs += 1
                continue
            done = self._redact(job_id, data)
            jobs += done is True
            if done is None:
                busy.append(job_id)
        deadline = time.monotonic() + patience
        while busy and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            left = []
            for job_id in busy:
                done = self._again(job_id)
                jobs += done is True
                if done is None:
                    left.append(job_id)
            busy = left
        return QueueRedaction(jobs=jobs, running=len(busy))

    def _meant(self) -> Iterator[tuple[str, bytes]]:
        prefix = keys.job("").encode()
        for page in pages(self._redis.scan_iter(f"{keys.job('')}*", count=_SCANNED)):
            ids = [name.removeprefix(prefix).decode(errors="replace") for name in page]
            with self._redis.pipeline(transaction=False) as pipeline:
                for one in ids:
                    pipeline.hget(keys.job(one), "data")
                answers = pipeline.execute(raise_on_error=False)
            for one, data in zip(ids, answers, strict=True):
                if isinstance(data, bytes) and self._is_meant(data):
                    yield one, data

    def _is_meant(self, data: bytes) -> bool:
        text = job_text(data)
        if not any(needle in text for needle in self._person.needles()):
            return False
        envelope = read_envelope(data)
        if envelope is None or not self._person.is_meant_by(arrival := arrival_of(envelope)):
            return False
        self._found(arrival)
        return redacted_envelope(envelope, self._key) != envelope  # else an earlier call has redacted it

    def _again(self, job_id: str) -> bool | None:
        data: Any = self._redis.hget(keys.job(job_id), "data")
        return self._redact(job_id, data) if isinstance(data, bytes) else False

    def _redact(self, job_id: str, data: bytes) -> bool | None:
        """Redact one job; False if it is gone, None if a worker has it."""
        envelope = read_envelope(data)
        if envelope is None:
            return False
        arguments: list[Any] = [data, job_data(redacted_envelope(envelope, self._key))]
        rows: Any = self._redis.xrange(keys.results(job_id))
        for result_id, fields in rows:
            kept = _without_texts(fields)
            arguments += (result_id, 2 * len(kept), *(part for pair in kept.items() for part in pair))
        reply = self._script(keys=[keys.job(job_id), keys.results(job_id)], args=arguments)
        return True if reply == b"done" else None


def _without_texts(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return a result of RQ's with handlers and error types, without what they said."""
    kept = {name: value for name, value in fields.items() if name not in (b"exc_string", b"return_value")}
    if traceback := traceback_of(fields):
        said = "; ".join(
            f"{name}: {error.partition(':')[0]}: (redacted)" for name, error in failures(traceback).items()
        )
        kept[b"exc_string"] = b64encode(zlib.compress(f"HandlersFailed: {said}".encode()))
    return kept
