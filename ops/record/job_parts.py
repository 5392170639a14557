"""Read the parts of a job as RQ and workers write them: its data, times, marks, results and tracebacks."""

import json
import zlib
from base64 import b64decode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ackfirst.shared import masking
from ackfirst.shared.errors import EnvelopeError
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.failed_result import failures_in

_LONGEST_ERROR: Final = 500


def read_envelope(data: bytes | None) -> Envelope | None:
    """Read the envelope in a job's data; None if it holds none."""
    try:
        _, _, [text], _ = json.loads(job_text(data or b""))
        return Envelope.decode(text)
    except (EnvelopeError, ValueError, TypeError):
        return None


def job_text(data: bytes) -> bytes:
    """Return the text of a job's data: RQ compresses it when it writes a job itself, which we do not."""
    try:
        return zlib.decompress(data)
    except zlib.error:
        return data


def failures(text: str, known: Iterable[str] = ()) -> dict[str, str]:
    """Read handler → error from the traceback that RQ keeps of a dead letter; numbers masked.

    The empty name stands for an end that is no handler's doing. ``known`` are numbers that the event holds.
    """
    return {handler: _safe(error, known) for handler, error in failures_in(text).items()}


def unix(text: bytes | None) -> float | None:
    """Read a time of RQ's job hash; None for none."""
    try:
        moment = datetime.fromisoformat((text or b"").decode())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_mark(item: tuple[bytes, bytes]) -> tuple[str, str, int, float] | None:
    """Read a handler's mark (``workers/processing/marks.py``) as handler, state, attempts, time of the next attempt."""
    try:
        fields = json.loads(item[1])
        return item[0].decode(errors="replace"), str(fields["s"]), int(fields["n"]), float(fields.get("at", 0))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def read_result(rows: Any) -> tuple[float | None, Mapping[bytes, bytes]]:
    """Read RQ's newest result as time and fields."""
    if not isinstance(rows, list) or not rows:
        return None, {}
    result_id, fields = rows[0]
    return int(result_id.partition(b"-")[0]) / 1000, fields


def returned_state(fields: Mapping[bytes, bytes]) -> str | None:
    """Read the state that a worker returned with one of RQ's results; None if it returned none."""
    try:
        found = json.loads(b64decode(fields.get(b"return_value", b"")))
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def _safe(text: str, known: Iterable[str]) -> str:
    return masking.numbers(text[: 2 * _LONGEST_ERROR], known)[:_LONGEST_ERROR]
