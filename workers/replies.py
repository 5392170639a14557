"""Convert text from Redis, which may hold any bytes, and for Redis, where lone surrogates are not allowed."""

import re
from typing import Final

_JOB_ID: Final = re.compile(rb"[\w\-.]{1,512}", re.ASCII)


def is_job_id(entry: bytes) -> bool:
    """Return whether this can be an id of a job or execution (``rq/job.py`` and ``take.lua`` apply the same rule)."""
    return _JOB_ID.fullmatch(entry) is not None


def text(reply: bytes | str) -> str:
    """Decode a reply; bytes that are not UTF-8 are replaced."""
    return reply if isinstance(reply, str) else reply.decode(errors="replace")


def printable(words: str) -> str:
    """Write characters that UTF-8 cannot hold as escapes."""
    return words.encode(errors="backslashreplace").decode()
