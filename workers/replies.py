"""Text out of Redis, which may hold any bytes, and into it, which may hold no lone surrogates."""

import re
from typing import Final

_JOB_ID: Final = re.compile(rb"[\w\-.]{1,512}", re.ASCII)


def is_job_id(entry: bytes) -> bool:
    """Whether a job or an execution could be called that (``rq/job.py`` and ``take.lua`` want no more of an id)."""
    return _JOB_ID.fullmatch(entry) is not None


def text(reply: bytes | str) -> str:
    """The reply as text; bytes that are not UTF-8 are replaced."""
    return reply if isinstance(reply, str) else reply.decode(errors="replace")


def printable(words: str) -> str:
    """The words with escapes in place of what UTF-8 cannot hold."""
    return words.encode(errors="backslashreplace").decode()
