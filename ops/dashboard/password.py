"""The dashboard's password when none is configured: made once, kept in the data folder, readable by its owner only."""

import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.private_folder import make_private_folder

#: The user name that the dashboard asks for, along with the password.
USERNAME: Final = "ackfirst"
FILE_NAME: Final = "dashboard-password"
_BYTES: Final = 18
_MODE: Final = 0o600


def path_in(data_dir: Path) -> Path:
    """Where the password of this data folder is kept."""
    return data_dir / FILE_NAME


def kept_in(data_dir: Path) -> str:
    """The password of this data folder; made and kept when there is none yet.

    Two processes that start at the same moment get the same one.

    Raises:
        ConfigurationError: The file cannot be written or read, or is empty.
    """
    file = path_in(data_dir)
    try:
        if not file.exists():
            _make(file)
        file.chmod(_MODE)
        password = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(
            f"cannot keep the dashboard's password in {file}: {reason}, "
            "check ACKFIRST_DATA_DIR or set ACKFIRST_DASHBOARD_PASSWORD"
        ) from error
    if not password:
        raise ConfigurationError(f"{file} is empty: delete it to get a new password, or write one into it")
    return password


def _make(file: Path) -> None:
    make_private_folder(file.parent)
    # mkstemp's mode is 0600; a link appears complete or not at all, and never replaces another process's password.
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{FILE_NAME}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(secrets.token_urlsafe(_BYTES) + "\n")
        _link(Path(temporary), file)
    finally:
        Path(temporary).unlink()


def _link(temporary: Path, file: Path) -> None:
    try:
        file.hardlink_to(temporary)
    except FileExistsError:
        return
