"""A file system that keeps only what was synced: whatever is not, is gone when its process gets SIGKILL.

``python -m tests.support.forgetful_fs MOUNTPOINT KEPT SEED`` serves a folder by FUSE. The files as programs see them
are in memory; what a power loss would leave is in ``KEPT``: the bytes that an ``fsync`` of a file has covered, and the
names that an ``fsync`` of their folder has covered, which is all that POSIX promises. As a kernel does, it also writes
a part of the rest back at moments of its own (drawn from the seed): the beginning of a write, or names before their
contents.
"""

import contextlib
import errno
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.support.small_disk import detach
from tests.support.waiting import wait_until

try:
    from mfusepy import FUSE, FuseOSError, Operations
except (ImportError, OSError, AttributeError, TypeError) as problem:  # the package, or the system's libfuse
    FUSE, FuseOSError, Operations = None, OSError, object
    _IMPORT_PROBLEM: str | None = f"{type(problem).__name__}: {problem}"
else:
    _IMPORT_PROBLEM = None

ROOT_NODE = 1

#: Share of the changes that are written back before a sync asks for it.
WRITTEN_BACK = 0.25


@dataclass
class Node:
    """A file (``data``) or a folder (``names``), as programs see it."""

    mode: int
    data: bytearray = field(default_factory=bytearray)
    names: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    """Bytes at the beginning of ``data`` that are kept."""
    changed_at: float = field(default_factory=time.time)

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


class ForgetfulFileSystem(Operations):
    """Serves one folder."""

    use_ns = True
    #: Nothing below needs the path of an open file or folder, which may have lost its name.
    flag_nullpath_ok = flag_nopath = True

    def __init__(self, kept: Path, seed: int) -> None:
        self._kept = kept
        self._random = Random(seed)
        self._nodes: dict[int, Node] = {}
        self._load(ROOT_NODE, stat.S_IFDIR | 0o700)
        for file in kept.iterdir():  # no name leads there any more, so the number may be used again
            if int(file.name.partition(".")[0]) not in self._nodes:
                file.unlink()
        self._numbers = itertools.count(max(self._nodes) + 1)

    def _load(self, number: int, mode: int) -> None:
        node = self._nodes[number] = Node(mode)
        content = self._kept / str(number)
        if not node.is_folder:
            node.data = bytearray(content.read_bytes() if content.exists() else b"")
            node.kept = len(node.data)
            return
        entries = json.loads(content.read_text()) if content.exists() else {}
        for name, (child, child_mode) in entries.items():
            node.names[name] = child
            self._load(child, child_mode)

    # What is kept
    def _keep(self, number: int, *, upto: int | None = None) -> None:
        """Bring a folder's names, or a file's bytes (all, or those before ``upto``), to the disk."""
        node, content = self._nodes[number], self._kept / str(number)
        if node.is_folder:
            new = content.with_suffix(".new")
            new.write_text(json.dumps({name: (to, self._nodes[to].mode) for name, to in node.names.items()}))
            new.replace(content)
            return
        end = len(node.data) if upto is None else upto
        with content.open("r+b" if content.exists() else "wb") as file:
            file.seek(node.kept)
            file.write(node.data[node.kept : end])
            if upto is None:
                file.truncate()
        node.kept = end

    def _may_keep(self, number: int) -> None:
        if self._random.random() < WRITTEN_BACK:
            node = self._nodes[number]
            self._keep(number, upto=None if node.is_folder else self._random.randint(node.kept, len(node.data)))

    def fsync(self, path: str | None, datasync: int, fh: int) -> int:
        self._keep(fh)
        return 0

    fsyncdir = fsync

    # Names
    def _find(self, path: str) -> int:
        number = ROOT_NODE
        for name in filter(None, path.split("/")):
            try:
                number = self._nodes[number].names[name]
            except KeyError:
                raise FuseOSError(errno.ENOENT) from None
        return number

    def _parent(self, path: str) -> tuple[int, str]:
        folder, _, name = path.rpartition("/")
        return self._find(folder), name

    def _make(self, path: str, mode: int) -> int:
        folder, name = self._parent(path)
        number = next(self._numbers)
        self._nodes[number] = Node(mode)
        self._nodes[folder].names[name] = number
        self._may_keep(folder)
        return number

    def mkdir(self, path: str, mode: int) -> int:
        self._make(path, stat.S_IFDIR | stat.S_IMODE(mode))
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return self._make(path, stat.S_IFREG | stat.S_IMODE(mode))

    def unlink(self, path: str) -> int:
        folder, name = self._parent(path)
        del self._nodes[folder].names[name]
        self._may_keep(folder)
        return 0

    rmdir = unlink

    def rename(self, old: str, new: str) -> int:
        (source, old_name), (target, new_name) = self._parent(old), self._parent(new)
        self._nodes[target].names[new_name] = self._nodes[source].names.pop(old_name)
        self._may_keep(target)
        return 0

    def opendir(self, path: str) -> int:
        return self._find(path)

    def readdir(self, path: str | None, fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
        entries = {".": fh, "..": ROOT_NODE, **self._nodes[fh].names}
        return ((name, {"st_ino": to, "st_mode": self._nodes[to].mode}, 0) for name, to in entries.items())

    # Contents
    def open(self, path: str, flags: int) -> int:
        return self._find(path)

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        return bytes(self._nodes[fh].data[offset : offset + size])

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        node = self._nodes[fh]
        if offset < node.kept:  # written over: programs that we look at do that to notes only, which are kept whole
            node.kept = 0
        node.data += bytes(max(0, offset - len(node.data)))
        node.data[offset : offset + len(data)] = data
        node.changed_at = time.time()
        self._may_keep(fh)
        return len(data)

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> int:
        node = self._nodes[self._find(path or "") if fh is None else fh]
        node.data[length:] = bytes(max(0, length - len(node.data)))
        node.kept = min(node.kept, length)
        return 0

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        number = self._find(path) if path else fh or ROOT_NODE
        node = self._nodes[number]
        when = int(node.changed_at * 1e9)
        owner = {"st_uid": os.getuid(), "st_gid": os.getgid(), "st_nlink": 2 if node.is_folder else 1}
        times = {"st_mtime": when, "st_ctime": when, "st_atime": when}
        return {"st_ino": number, "st_mode": node.mode, "st_size": len(node.data), **owner, **times}

    def chmod(self, path: str, mode: int) -> int:
        node = self._nodes[self._find(path)]
        node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 1 << 20, "f_bfree": 1 << 19, "f_bavail": 1 << 19}


class ForgetfulMount:
    """The file system at ``folder``; ``lose_power`` and ``start`` again as often as wanted."""

    def __init__(self, folder: Path, kept: Path) -> None:
        self.folder = folder
        self._kept = kept
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        kept.mkdir(exist_ok=True)

    def start(self, seed: int) -> None:
        """Mount what is kept."""
        argv = [sys.executable, "-m", "tests.support.forgetful_fs", str(self.folder), str(self._kept), str(seed)]
        log = self._kept.with_name("file-system.log")
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                argv, cwd=Path(__file__).resolve().parents[2], stdout=output, stderr=output, start_new_session=True
            )
        wait_until(self._is_mounted, timeout=30, message="the file system is mounted")

    def _is_mounted(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise OSError(errno.EPERM, self._kept.with_name("file-system.log").read_text()[-600:].strip())
        return os.path.ismount(self.folder)

    def lose_power(self) -> None:
        """Forget what was not synced. Programs that are still there get errors from now on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(timeout=20)
            self._process = None
        with contextlib.suppress(OSError):
            detach(self.folder)


@contextmanager
def forgetful_mount(folder: Path) -> Iterator[ForgetfulMount]:
    """A disk in ``folder`` that is there until the end of the block, whatever happens to it meanwhile."""
    mount = ForgetfulMount(folder / "disk", folder / "kept")
    try:
        yield mount
    finally:
        mount.lose_power()


def cannot_forget() -> str | None:
    """Why such a file system cannot be had here; None when it can."""
    if sys.platform != "linux":
        return "the forgetful file system is mounted on Linux only"
    if _IMPORT_PROBLEM:
        return f"the forgetful file system needs mfusepy and fuse3: {_IMPORT_PROBLEM}"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "the forgetful file system needs /dev/fuse, which may not be used here"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with forgetful_mount(Path(folder)) as mount:
                mount.start(0)
        except (OSError, AssertionError) as error:
            return f"the forgetful file system may not be mounted here: {error}"
    return None


def main() -> None:
    mountpoint, kept, seed = sys.argv[1:]
    FUSE(
        ForgetfulFileSystem(Path(kept), int(seed)),
        mountpoint,
        foreground=True,
        nothreads=True,
        use_ino=True,
    )


if __name__ == "__main__":
    main()
