"""Find the page's password: the operator's own, or one that is made once and kept in the data folder."""

import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.private_folder import make_private_folder
from ackfirst.shared.settings import Settings

#: The user who may do everything.
USERNAME: Final = "ackfirst"
#: The user who may only look, when ``ACKFIRST_WEB_VIEWER_PASSWORD`` is set.
VIEWER: Final = "viewer"

PASSWORD_FILE: Final = "web-password"  # noqa: S105 - the name of a file
_PASSWORD_BYTES: Final = 18
_PASSWORD_MODE: Final = 0o600


def password_source(settings: Settings, environ: Mapping[str, str]) -> str:
    """The place of the page's password: a file, or the environment."""
    if settings.web_password is None:
        return os.fspath(settings.data_dir / PASSWORD_FILE)
    return environ.get("ACKFIRST_WEB_PASSWORD_FILE") or "ACKFIRST_WEB_PASSWORD"


def load_or_create_password(data_dir: Path) -> str:
    """Read the password of this data folder; make one, readable by its owner only, when there is none.

    Two processes that start at the same moment get the same one.

    Raises:
        ConfigurationError: The file cannot be written or read, or is empty.
    """
    file = data_dir / PASSWORD_FILE
    try:
        if not file.exists():
            _create_password(file)
        file.chmod(_PASSWORD_MODE)
        password = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(
            f"cannot keep the page's password in {file}: {reason}, check ACKFIRST_DATA_DIR or set ACKFIRST_WEB_PASSWORD"
        ) from error
    if not password:
        raise ConfigurationError(f"{file} is empty: delete it to get a new password, or write one into it")
    return password


def _create_password(file: Path) -> None:
    make_private_folder(file.parent)
    # mkstemp's mode is 0600; a link appears complete or not at all, and never replaces another process's password.
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{PASSWORD_FILE}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(secrets.token_urlsafe(_PASSWORD_BYTES) + "\n")
        with suppress(FileExistsError):
            file.hardlink_to(temporary)
    finally:
        Path(temporary).unlink()
