"""What dead engines have noted in their journals goes to Redis, for the janitor who lets their jobs run again."""

import fcntl
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from redis import Redis

from shared import keys
from workers.journal import read_notes
from workers.scripts import script


class Legacies:
    """Of all engines whose journals are in ``folder``, whichever pool they belonged to."""

    def __init__(self, redis: Redis, folder: Path) -> None:
        self._folder = folder
        self._bequeath = script(redis, "bequeath")

    def hand_over(self, *, living: Collection[str]) -> None:
        """Hand over what the dead have left.

        ``living`` are not looked at: an engine in this very process must be among them, or it would lose its lock.

        Raises:
            RedisError: Redis did not take it: it is still there for the next time.
        """
        for path in _files(self._folder):
            if path.name not in living and (notes := _left_behind(path)) is not None:
                if notes:
                    pairs = [part for pair in notes.items() for part in pair]
                    self._bequeath(keys=[keys.ENGINES, keys.done(path.name)], args=[path.name, *pairs])
                with suppress(OSError):  # then it is handed over again, which does no harm
                    path.unlink()


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
