"""Create the data folder for its owner only, and warn of files of ours that other users may read or change."""

import os
import stat
from pathlib import Path
from typing import Any, Protocol

from ackfirst.shared.private_folder import make_private_folder
from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.environment import variable


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def warning(self, event: str, /, **fields: Any) -> Any:
        """Log a warning."""


def protect_files(settings: Settings, log: Log) -> None:
    """Create the data folder, and warn if other users may enter it or read or change the file of the accounts.

    A data folder that already exists keeps its mode: it may be ``/tmp`` or a home folder, which others need.
    """
    try:
        if not settings.data_dir.exists():
            make_private_folder(settings.data_dir)
    except OSError:  # whoever needs the folder names it in an error; the page with a password of its own does not
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
