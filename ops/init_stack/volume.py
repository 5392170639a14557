"""Write files into a volume so that one numeric user can read them and no user can change them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_FILE: Final = 0o400
_FOLDER: Final = 0o500


def read(folder: Path) -> dict[str, bytes]:
    """Read every file under ``folder``, by its relative name; an empty mapping if there is no such folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write(folder: Path, files: Mapping[str, bytes], *, owner: int | None) -> None:
    """Make ``folder`` hold exactly ``files``, owned by ``owner`` (a numeric user and group; None keeps the owner).

    A file appears complete or not at all, because a running container may read it meanwhile.
    """
    for name in read(folder).keys() - files.keys():
        (folder / name).unlink()
    for name, content in files.items():
        _write(folder / name, content, owner)
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        own(path, owner, _FOLDER)


def _write(path: Path, content: bytes, owner: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    own(temporary, owner, _FILE)
    temporary.replace(path)


def own(path: Path, owner: int | None, mode: int) -> None:
    """Set mode and owner of ``path``."""
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner, owner)
