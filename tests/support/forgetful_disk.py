"""A disk that remembers only what was synced: records what is done to a folder, and builds what a power loss may leave.

What a file system owes us (POSIX; ext4, XFS and btrfs at their worst): the bytes of a file that an ``fsync`` of it has
covered, and the names in a folder that an ``fsync`` of the folder has covered. Everything else may be there, may be
missing, may be there in part, or without what was done before it. A rename is there whole or not at all.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Literal
from unittest.mock import patch

#: A torn write ends at one of these, or anywhere.
_SECTOR = 512


@dataclass(frozen=True)
class Write:
    file: int
    at: int
    data: bytes


@dataclass(frozen=True)
class Cut:
    file: int
    size: int


@dataclass(frozen=True)
class Rename:
    """In ``folder``, ``name`` now is ``node`` (None: nothing), and ``old`` is nothing."""

    folder: int
    name: str
    node: int | None
    old: str | None = None


@dataclass(frozen=True)
class Sync:
    node: int


@dataclass(frozen=True)
class FailedSync:
    """The kernel forgets these pages: no later sync brings them to the disk."""

    file: int


@dataclass(frozen=True)
class Mark:
    """What the test wants to find between the operations."""

    what: str
    value: Any


_OS = SimpleNamespace(
    open=os.open,
    close=os.close,
    write=os.write,
    ftruncate=os.ftruncate,
    mkdir=os.mkdir,
    unlink=os.unlink,
    rename=os.rename,
)

Operation = Write | Cut | Rename | Sync | FailedSync | Mark


class ForgetfulDisk:
    """Records operations below ``root``, which exists and survives.

    Args:
        root: A folder.
        ignored: Syncs that are taken away, of ``files`` or ``folders``: the harness must then find a loss.
    """

    def __init__(self, root: Path, ignored: frozenset[Literal["files", "folders"]] = frozenset()) -> None:
        self.root = root
        self.operations: list[Operation] = []
        self.failing: list[str] = []
        """Calls that fail from now on, each once: ``write`` (after half of its bytes) or ``fsync``."""
        self._ignored = ignored
        self._nodes = {root: 0}
        self._folders = {0}
        self._sizes: dict[int, int] = {}
        self._fds: dict[int, int] = {}

    def mark(self, what: str, value: Any) -> None:
        """Note something between the operations."""
        self.operations.append(Mark(what, value))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what this process does by way of ``os`` meanwhile."""
        files = patch.multiple(
            os, open=self._open, close=self._close, write=self._write, ftruncate=self._cut, fsync=self._sync
        )
        with files, patch.multiple(os, mkdir=self._make, unlink=self._unlink, rename=self._rename):
            yield

    def _open(self, path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        existed = os.path.lexists(path)
        fd = _OS.open(path, flags, mode, **options)
        place = Path(path)
        if not existed and place.parent in self._nodes:
            self._create(place, is_folder=False)
        if place in self._nodes:
            self._fds[fd] = self._nodes[place]
        return fd

    def _close(self, fd: int) -> None:
        self._fds.pop(fd, None)
        _OS.close(fd)

    def _write(self, fd: int, data: Any) -> int:
        file = self._fds.get(fd)
        if file is None:
            return _OS.write(fd, data)
        if self._fails("write"):
            data = bytes(data)[: len(data) // 2]
            self.failing.insert(0, "full")
        elif self._fails("full"):
            raise OSError(errno.ENOSPC, "no space left on device")
        count = _OS.write(fd, data)
        self.operations.append(Write(file, self._sizes[file], bytes(data)[:count]))
        self._sizes[file] += count
        return count

    def _cut(self, fd: int, size: int) -> None:
        _OS.ftruncate(fd, size)
        if (file := self._fds.get(fd)) is not None:
            self.operations.append(Cut(file, size))
            self._sizes[file] = size

    def _sync(self, fd: int) -> None:
        node = self._fds.get(fd)
        if node is None:
            return
        if node not in self._folders and self._fails("fsync"):
            self.operations.append(FailedSync(node))
            raise OSError(errno.EIO, "input/output error")
        if ("folders" if node in self._folders else "files") not in self._ignored:
            self.operations.append(Sync(node))

    def _make(self, path: Any, mode: int = 0o777, **options: Any) -> None:
        _OS.mkdir(path, mode, **options)
        if Path(path).parent in self._nodes:
            self._create(Path(path), is_folder=True)

    def _unlink(self, path: Any, **options: Any) -> None:
        _OS.unlink(path, **options)
        if self._nodes.pop(Path(path), None) is not None:
            self.operations.append(Rename(self._nodes[Path(path).parent], Path(path).name, None))

    def _rename(self, old: Any, new: Any, **options: Any) -> None:
        _OS.rename(old, new, **options)
        source, target = Path(old), Path(new)
        if source in self._nodes:
            self._nodes[target] = self._nodes.pop(source)
            folder = self._nodes[target.parent]
            self.operations.append(Rename(folder, target.name, self._nodes[target], source.name))

    def _create(self, path: Path, *, is_folder: bool) -> None:
        node = len(self._folders) + len(self._sizes)
        if is_folder:
            self._folders.add(node)
        else:
            self._sizes[node] = 0
        self._nodes[path] = node
        self.operations.append(Rename(self._nodes[path.parent], path.name, node))

    def _fails(self, call: str) -> bool:
        if self.failing and self.failing[0] == call:
            self.failing.pop(0)
            return True
        return False

    def after_power_loss(self, moment: int, random: Random, into: Path) -> None:
        """Build in ``into`` a state that a loss of power after ``moment`` operations may leave."""
        done = self.operations[:moment]
        names: dict[int, dict[str, int]] = {folder: {} for folder in self._folders}
        for place, operation in enumerate(done):
            if isinstance(operation, Rename) and (self._is_synced(done, place) or random.random() < 0.5):
                entries = names[operation.folder]
                if operation.node is None:
                    entries.pop(operation.name, None)
                else:
                    entries[operation.name] = operation.node
                if operation.old is not None:
                    entries.pop(operation.old, None)
        self._build(0, names, {node: self._content(done, node, random) for node in self._sizes}, into)

    def _build(self, folder: int, names: dict[int, dict[str, int]], contents: dict[int, bytes], into: Path) -> None:
        into.mkdir(exist_ok=True, mode=0o700)
        for name, node in names[folder].items():
            if node in self._folders:
                self._build(node, names, contents, into / name)
            else:
                (into / name).write_bytes(contents[node])

    @staticmethod
    def _is_synced(done: list[Operation], place: int) -> bool:
        """Whether a sync of the same node follows, and no failed one comes before it."""
        operation = done[place]
        node = operation.folder if isinstance(operation, Rename) else operation.file  # type: ignore[union-attr]
        for later in done[place + 1 :]:
            if isinstance(later, Sync) and later.node == node:
                return True
            if isinstance(later, FailedSync) and later.file == node:
                return False
        return False

    def _content(self, done: list[Operation], file: int, random: Random) -> bytes:
        data = bytearray()
        for place, operation in enumerate(done):
            if not isinstance(operation, Write | Cut) or operation.file != file:
                continue
            if isinstance(operation, Cut):
                if self._is_synced(done, place) or random.random() < 0.5:
                    del data[operation.size :]
                continue
            piece = operation.data
            if not self._is_synced(done, place):
                match random.randrange(4):
                    case 0:
                        continue  # lost, even where something after it is not
                    case 1:
                        piece = piece[: random.randrange(len(piece) + 1)]
                    case 2:
                        piece = piece[: random.randrange(len(piece) // _SECTOR + 1) * _SECTOR]
                        piece += bytes(len(operation.data) - len(piece))  # the size is there, the bytes are not
            data += bytes(max(0, operation.at - len(data)))
            data[operation.at : operation.at + len(piece)] = piece
        return bytes(data)
