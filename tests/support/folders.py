"""Folders whose path is short enough for a unix socket's 108 bytes, unlike those of ``tmp_path``."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_short_folder(prefix: str = "af-") -> Iterator[Path]:
    """Make one, and remove it at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
