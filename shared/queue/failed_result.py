"""Read why a job failed, from the newest of the results that RQ keeps of it."""

import re
import zlib
from base64 import b64decode
from collections.abc import Mapping
from typing import Final

#: ``handler: ErrorType: message`` in what ``HandlersFailed`` says.
_FAILED: Final = re.compile(r"(?:^|; )([A-Za-z_][\w.<>]*): ([A-Za-z_]\w*): ")


def traceback_of(fields: Mapping[bytes, bytes]) -> str:
    """Read the traceback in one of RQ's results; empty if it has none."""
    try:
        return zlib.decompress(b64decode(fields.get(b"exc_string", b""))).decode(errors="replace")
    except (ValueError, zlib.error):
        return ""


def failures_in(traceback: str) -> dict[str, str]:
    """Read handler → error from the end of a traceback, each on one line, nothing masked.

    The empty name stands for an end that is no handler's doing.
    """
    _, found, said = traceback.strip().rpartition("HandlersFailed: ")
    parts = list(_FAILED.finditer(said)) if found else []
    if not parts:
        last = said.rpartition("\n")[2]
        return {"": last} if last else {}
    ends = [*(part.start() for part in parts[1:]), len(said)]
    return {part[1]: " ".join(said[part.start(2) : end].split()) for part, end in zip(parts, ends, strict=True)}
