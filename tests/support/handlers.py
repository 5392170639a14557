"""A module of handlers for real worker processes, and what its handlers wrote down."""

from pathlib import Path
from textwrap import dedent

import redis

CALLS = "test:calls"

_HEAD = f"""
import asyncio, os, signal, time
import redis
from ackfirst import Discard, RetryLater, on

notes = redis.Redis.from_url(os.environ["ACKFIRST_REDIS_URL"])


def note(*words):
    notes.rpush("{CALLS}", " ".join(map(str, words)))

"""


def write_handlers(folder: Path, code: str, name: str = "my_handlers") -> str:
    """Write the module ``name``; its code may call ``note(...)``. Returns the name."""
    (folder / f"{name}.py").write_text(_HEAD + dedent(code))
    return name


def calls(client: redis.Redis) -> list[str]:
    """What handlers noted, in order."""
    return [text.decode() for text in client.lrange(CALLS, 0, -1)]
