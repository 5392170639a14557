"""Watch the system calls of a process, and say at each answer what was written and not yet synced."""

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

_CALLS = "openat,mkdir,write,writev,pwrite64,sendto,sendmsg,read,readv,recvfrom,fsync,fdatasync,rename"
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)")
_CALL = re.compile(r"^(\w+)\((.*)")
_DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")
_RESULT = re.compile(r"\)\s+= (-?\d+)")
_OPENED = re.compile(r"\)\s+= \d+<([^>]*)>")


def strace(output: Path) -> list[str]:
    """What to put before a command. The process stays the child that was started: strace is a grandchild."""
    return ["strace", "-D", "-f", "-y", "-s", "3000", "-o", str(output), "-e", f"trace={_CALLS}"]


@dataclass(frozen=True)
class Call:
    """One moment of a call: its beginning (``result`` is None) or its end."""

    name: str
    path: str
    """The file, folder or socket that it is about."""
    text: str
    result: int | None


def calls(output: Path) -> Iterable[Call]:
    """Beginnings and ends, in their order; a call that nothing interrupted is both, one after the other."""
    begun: dict[str, Call] = {}
    for line in output.read_text(errors="replace").splitlines():
        thread, _, rest = line.partition(" ")
        rest = rest.lstrip()
        if resumed := _RESUMED.match(rest):
            start = begun.pop(thread, None)
            if start is not None:
                yield _ended(start, resumed.group(2))
            continue
        if not (found := _CALL.match(rest)):
            continue
        name, arguments = found.groups()
        descriptor = _DESCRIPTOR.match(arguments)
        start = Call(name, descriptor.group(1) if descriptor else arguments, arguments, None)
        yield start
        if "<unfinished" in arguments:
            begun[thread] = start
        else:
            yield _ended(start, arguments)


def _ended(start: Call, rest: str) -> Call:
    results = _RESULT.findall(rest)
    opened = _OPENED.findall(rest)
    path = opened[-1] if opened and start.name == "openat" else start.path
    return Call(start.name, path, start.text, int(results[-1]) if results else -1)


@dataclass
class Unsynced:
    """Follows a trace: which files and folders below ``root`` hold something that was not synced.

    Args:
        root: What is looked at.
        counts: Which files count.
    """

    root: Path
    counts: Callable[[str], bool]
    dirty: dict[str, str] = field(default_factory=dict)
    """File or folder → what was done to it."""
    written: int = 0
    _syncing: dict[str, dict[str, str]] = field(default_factory=dict)

    def see(self, call: Call) -> None:
        """Take the next call."""
        if call.name in {"fsync", "fdatasync"}:
            if call.result is None:
                self._syncing[call.path] = {call.path: self.dirty.get(call.path, "")}
            elif call.result == 0 and self._syncing.get(call.path) == {call.path: self.dirty.get(call.path, "")}:
                self.dirty.pop(call.path, None)
        elif call.name in {"write", "writev", "pwrite64"} and call.result is None and self._is_ours(call.path):
            self.written += 1
            self.dirty[call.path] = f"write {self.written}"
        elif call.name == "openat" and (call.result or -1) >= 0 and "O_CREAT" in call.text and self._is_ours(call.path):
            self.dirty[str(Path(call.path).parent)] = f"new {call.path}"
        elif call.name == "mkdir" and call.result == 0:
            path = call.text.split('"')[1]
            if path.startswith(str(self.root)):
                self.dirty[str(Path(path).parent)] = f"new {path}"

    def _is_ours(self, path: str) -> bool:
        return path.startswith(str(self.root)) and self.counts(path)
