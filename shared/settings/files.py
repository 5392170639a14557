"""Create the data folder for its owner only, and warn of files of ours that other users may read or change."""

import os
import stat
from pathlib import Path
from typing import Any, Final, Protocol

from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.environment import variable

_PRIVATE: Final = 0o700


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def warning(self, event: str, /, **fields: Any) -> Any:
        """Log a warning."""


def make_private(folder: Path) -> None:
    """Create a folder, with those above it that are missing, so that only its owner may enter; keep an existing one.

    The spool, the dashboard's password and the queue's files hold what people wrote: with the usual umask every user of
    the machine could read them.

    Raises:
        OSError: It cannot be created.
    """
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=_PRIVATE, exist_ok=True)


def protect_files(settings: Settings, log: Log) -> None:
    """Create the data folder, and warn if other users may enter it or read or change the file of the accounts.

    A data folder of ours that already exists is not changed: it may be shared on purpose, as with a group of operators.
    """
    try:
        make_private(settings.data_dir)
    except OSError:  # whoever needs the folder names it in an error; the dashboard with a password of its own does not
        return
    # A volume of a container belongs to root, and only the folder above it keeps others out.
    is_ours = settings.data_dir.stat().st_uid == os.geteuid()
    others = stat.S_IRWXO | stat.S_IWGRP
    if is_ours and (mode := _open_to_others(settings.data_dir, others)):
        log.warning(
            "files.exposed",
            path=str(settings.data_dir),
            mode=mode,
            consequence="other users of this machine may read or change what waits there",
            check=f"chmod 700, {variable('data_dir')}",
        )
    if mode := _open_to_others(settings.config, stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        log.warning(
            "files.exposed",
            path=str(settings.config),
            mode=mode,
            consequence="other users of this machine may read the signature secrets or change them",
            check=f"chmod 600, {variable('config')}",
        )


def _open_to_others(path: Path, bits: int) -> str | None:
    """Return the mode in octal digits if it grants one of ``bits``; None if it does not, or there is no such file."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    return f"{mode:04o}" if mode & bits else None
