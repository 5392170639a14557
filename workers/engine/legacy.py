"""What dead engines have noted in their journals goes to Redis, for the janitor who lets their jobs run again."""

import fcntl
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import ResponseError

from ackfirst.shared.queue import keys
from ackfirst.workers.engine.journal import read_notes
from ackfirst.workers.scripts import script

#: Notes in one call: Lua takes no more than 8,000 arguments at once.
CHUNK: Final = 200
#: Seconds for which notes stay in Redis: whoever lets the jobs run again does so within seconds.
KEEP: Final = 86_400


class Legacies:
    """Of all engines whose journals are in ``folder``, whichever pool they belonged to."""

    def __init__(self, redis: Redis, folder: Path) -> None:
        self._redis = redis
        self._folder = folder
        self._bequeath = script(redis, "bequeath")

    def hand_over(self, *, living: Collection[str]) -> None:
        """Hand over what the dead have left.

        ``living`` are not looked at: an engine in this very process must be among them, or it would lose its lock.

        Raises:
            RedisError: Redis is away: it is still there for the next time.
        """
        for path in _files(self._folder):
            if path.name in living or (notes := _left_behind(path)) is None:
                continue
            with suppress(ResponseError):  # such as a key of another type: without notes the handlers run again
                self._send(path.name, notes)
            with suppress(OSError):  # then it is handed over again, which does no harm
                path.unlink()

    def _send(self, engine: str, notes: dict[bytes, bytes]) -> None:
        """Only of jobs in the engine's hands: most of a journal is of settled ones."""
        held = self._redis.hkeys(keys.hands(engine)) if notes else []
        pairs = [(job_id, notes[job_id]) for job_id in held if job_id in notes]
        for first in range(0, len(pairs), CHUNK):
            flat = [part for pair in pairs[first : first + CHUNK] for part in pair]
            self._bequeath(keys=[keys.ENGINES, keys.done(engine)], args=[engine, KEEP, *flat])


def _files(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    return []


def _left_behind(path: Path) -> dict[bytes, bytes] | None:
    """The notes in a journal; None while its engine lives, or when it cannot be read."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return read_notes(path.read_bytes())
    except OSError:
        return None
    finally:
        os.close(file)
