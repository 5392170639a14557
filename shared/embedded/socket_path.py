"""Where the embedded server's socket lies: in its folder, unless that path is not fit to be a socket address."""

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Final

from ackfirst.shared.errors import ConfigurationError

#: Bytes that a path may have: ``sun_path`` holds 104 on macOS and 108 on Linux, one of them the closing zero.
LONGEST: Final = 103

#: redis-py 8.1 cannot read ``CLIENT INFO`` when a socket's path holds a space or ``=``, and RQ's worker asks for that.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./+@,~-]+")

_NAME: Final = "server.sock"


def choose(folder: Path, *, temporary: Path | None = None) -> Path:
    """The socket of the server that keeps its data in ``folder`` (absolute).

    Raises:
        ConfigurationError: the path is not fit, and the place for short ones (below ``temporary``, the system's
            folder for temporary files) is not ours alone.
    """
    direct = folder / _NAME
    if _is_fit(direct):
        return direct
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    for base in (temporary or Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - made private below
        short = base / f"ackfirst-{os.getuid()}-{digest}"
        if _is_fit(short / _NAME):
            _make_private(short)
            return short / _NAME
    raise ConfigurationError(
        f"the path of the data folder is too long for a unix socket: {folder}, set ACKFIRST_DATA_DIR"
    )


def remove(socket: Path, folder: Path) -> None:
    """Leave nothing of what :func:`choose` made for the server in ``folder``."""
    socket.unlink(missing_ok=True)
    if socket.parent != folder:
        with contextlib.suppress(OSError):
            socket.parent.rmdir()


def _is_fit(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST and _PLAIN.fullmatch(os.fspath(path)) is not None


def _make_private(folder: Path) -> None:
    """Everybody may write to a temporary folder: one that somebody else has put there is not used."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ConfigurationError(
            f"cannot make {folder} for the socket: {error.strerror}, set ACKFIRST_DATA_DIR"
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigurationError(f"{folder} belongs to somebody else: remove it, or set a shorter ACKFIRST_DATA_DIR")
