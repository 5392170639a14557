"""Name the installed release, for ``--version``, ``/readyz``, workers in Redis and ``doctor``."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def installed_version() -> str:
    """Return the release of the installed package."""
    try:
        return version("ackfirst")
    except PackageNotFoundError:
        return "(not installed)"
