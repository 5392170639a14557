"""A wall clock that a test can set while processes run, by ``libfaketime``. Monotonic clocks stay as they are."""

import importlib.util
from pathlib import Path

_LIBRARY = "vendor/libfaketime/src/libfaketime.so.1"


def library() -> Path | None:
    """The library to preload; None where its wheel brings none that this machine can load."""
    spec = importlib.util.find_spec("libfaketime")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / _LIBRARY
    return path if path.exists() else None


class Clock:
    """Give ``environment`` to every process that shall live by it."""

    def __init__(self, folder: Path) -> None:
        found = library()
        assert found, "libfaketime is not installed"
        self._file = folder / "clock"
        self.step(0)
        self.environment = {
            "LD_PRELOAD": str(found),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            # Reading the file at each call holds a lock of the library, and threads that wait for it spin.
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def step(self, seconds: float) -> None:
        """Be so far ahead of the real time from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+f}\n")
        new.replace(self._file)
