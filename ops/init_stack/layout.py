"""Map each file of an operator's ``config/`` to the containers that read it; no container gets another's."""

import codecs
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ackfirst.ops.init_stack import volume
from ackfirst.shared.errors import ConfigurationError

_SIGN: Final = ("ingest", "web", "simulator")
_SPEAK_TO_REDIS: Final = ("ingest", "worker", "web")
_READ_THE_RECORD: Final = ("worker", "web")

#: Name in ``config/`` → the roles that read it, in ``/etc/ackfirst/`` under the same name.
PLACES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "ackfirst.toml": _SIGN,
        "signature-secret": _SIGN,
        "api-secret": ("ingest",),
        "redaction-key": ("ingest",),
        "redis-url": _SPEAK_TO_REDIS,
        "redis-ca.pem": _SPEAK_TO_REDIS,
        "redis-password": ("redis",),
        "store-url": _READ_THE_RECORD,
        "postgres-password": ("postgres",),
        "web-password": ("web",),
        "web-viewer-password": ("web",),
        "grafana-password": ("grafana",),
        "tls/fullchain.pem": ("edge",),
        "tls/privkey.pem": ("edge",),
    }
)

#: Files of many lines, copied as they are; all others hold one line.
_WHOLE: Final = ("ackfirst.toml", "redis-ca.pem", "tls/fullchain.pem", "tls/privkey.pem")

#: Left behind by editors and file managers, and the page that explains the folder.
_PASSED_OVER: Final = ("README.md", ".*", "*~", "*.swp", "*.bak", "#*#")


def given(folder: Path) -> dict[str, bytes]:
    """Read the operator's files in ``folder``, by name; an empty mapping if there is no such folder.

    Raises:
        ConfigurationError: No container reads a file of that name, or a file cannot be read.
    """
    files = {name: _content(folder / name) for name in _names(folder)}
    return {name: content if name in _WHOLE else _one_line(content) for name, content in files.items()}


def _one_line(content: bytes) -> bytes:
    """Give a secret one plain line end and no byte order mark: shells and Redis would take both for a part of it."""
    return content.removeprefix(codecs.BOM_UTF8).strip(b"\r\n") + b"\n"


def _names(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or any(fnmatch(path.name, pattern) for pattern in _PASSED_OVER):
            continue
        if name not in PLACES:
            raise ConfigurationError(
                f"config/{name} is a file that no container reads: the names are {', '.join(PLACES)}"
            )
        yield name


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"config/{path.name} cannot be read: {error.strerror}") from error


def shipped(folder: Path, role: str) -> dict[str, bytes]:
    """Read the configuration that ackfirst ships for other programs: ``deploy/<role>/``.

    It is copied like the rest and not mounted: only the owner of a checkout may be able to read it.
    """
    return volume.read(folder / role)


def shares(files: Mapping[str, bytes], role: str) -> dict[str, bytes]:
    """Select the files that a role reads."""
    return {name: content for name, content in files.items() if role in PLACES.get(name, ())}
