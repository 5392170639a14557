"""Choose the path of the embedded server's socket: in its folder, unless that path cannot be a socket address."""

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Final

from ackfirst.shared.errors import ConfigurationError

#: ``sun_path`` has 104 bytes on macOS and 108 on Linux, one of them for the closing zero.
LONGEST_BYTES: Final = 103

#: redis-py 8.1 cannot read ``CLIENT INFO`` when a socket's path holds a space or ``=``, and RQ's worker asks for that.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./+@,~-]+")

_NAME: Final = "server.sock"


def choose(folder: Path, *, temporary: Path | None = None) -> Path:
    """Return the socket of the server that keeps its data in ``folder`` (absolute).

    Raises:
        ConfigurationError: The path cannot be used, and the folder for shorter ones (below ``temporary``, the system's
            folder for temporary files) belongs to another user.
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
    """Remove the socket, and the folder that :func:`choose` may have created for it."""
    socket.unlink(missing_ok=True)
    if socket.parent != folder:
        with contextlib.suppress(OSError):
            socket.parent.rmdir()


def _is_fit(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_BYTES and _PLAIN.fullmatch(os.fspath(path)) is not None


def _make_private(folder: Path) -> None:
    """Create the folder for this user only; refuse one that another user has put into the temporary folder."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ConfigurationError(
            f"cannot make {folder} for the socket: {error.strerror}, set ACKFIRST_DATA_DIR"
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigurationError(f"{folder} belongs to another user: remove it, or set a shorter ACKFIRST_DATA_DIR")
