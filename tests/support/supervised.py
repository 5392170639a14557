"""A process that runs a ``Supervisor`` over small Python programs; a test reads its log and signals it."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ackfirst.shared.processes.child import Backoff, Child
from ackfirst.shared.processes.supervisor import Supervisor
from tests.support.processes import ROOT, clean_environment
from tests.support.waiting import wait_until

#: ``linux/prctl.h``: inherit the orphans of one's descendants, as process 1 does.
PR_SET_CHILD_SUBREAPER = 36

#: Notes a word in the file that all children share.
_NOTE = """
import os, signal, subprocess, sys, time
def note(word):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{os.environ['NAME']} {word} {os.getpid()}\\n")
"""
OBEDIENT = "signal.signal(15, lambda *_: sys.exit(0)); note('up'); time.sleep(60)"
STUBBORN = "signal.signal(15, signal.SIG_IGN); note('up'); time.sleep(60)"
SLOW_TO_STOP = """
def stop(*_):
    note('told'); time.sleep(0.3); note('gone'); sys.exit(0)
signal.signal(15, stop); note('up'); time.sleep(60)
"""


def child(name: str, program: str, *, stage: int = 0, isolated: bool = True) -> Child:
    """A child that runs ``program``, which may call ``note(word)``; ``isolated`` starts faster, but imports nothing."""
    flags = ("-I", "-S") if isolated else ()
    return Child(name=name, argv=(sys.executable, *flags, "-c", _NOTE + program), env={"NAME": name}, stage=stage)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Supervised:
    """The process; the ``with`` block ends it and whatever child a failed test has left."""

    def __init__(
        self,
        folder: Path,
        *children: Child,
        grace: float = 10.0,
        backoff: Backoff | None = None,
        nohup: bool = False,
        subreaper: bool = False,
    ) -> None:
        self._notes = folder / "notes"
        self._notes.touch()
        self._log = folder / "log"
        self._plan = {
            "children": [asdict(child) for child in children],
            "grace": grace,
            "backoff": asdict(backoff or Backoff(first=0.05, limit=0.2, steady=5.0)),
            "nohup": nohup,
            "subreaper": subreaper,
        }
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.supervised", json.dumps(self._plan)],
                env=clean_environment(PYTHONPATH=str(ROOT), NOTES=str(self._notes)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for pid in filter(is_alive, {pid for _, _, pid in self.notes} | set(self.pids())):
            os.kill(pid, signal.SIGKILL)

    @property
    def log(self) -> list[dict[str, Any]]:
        # The last line may still be in the making.
        return [json.loads(line) for line in self._log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def logged(self, event: str, name: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event and line["child"] == name]

    def pids(self, *names: str) -> list[int]:
        """Of every process started so far, in order."""
        started = [line for line in self.log if line["event"] == "child.started"]
        return [line["pid"] for line in started if not names or line["child"] in names]

    @property
    def notes(self) -> list[tuple[str, str, int]]:
        """Name, word, process id, in the order in which the children wrote them."""
        lines = [line.split() for line in self._notes.read_text().splitlines()]
        return [(name, word, int(pid)) for name, word, pid in lines]

    def wait_for_notes(self, count: int, word: str = "up") -> list[tuple[str, str, int]]:
        wait_until(
            lambda: sum(note[1] == word for note in self.notes) >= count, timeout=30, message=f"{count} times {word!r}"
        )
        found = [note for note in self.notes if note[1] == word]
        names = {child["name"] for child in self._plan["children"]}
        own = {pid for name, _, pid in found if name in names}  # the others are children of children
        wait_until(lambda: own <= set(self.pids()), message="the log has their starts")
        return found

    def signal(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def wait(self, timeout: float = 20.0) -> int:
        """Exit code."""
        return self.process.wait(timeout)


class _JsonLines:
    """A log that a test can read."""

    def info(self, event: str, /, **fields: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
        sys.stdout.flush()

    warning = info


def main(arguments: Sequence[str]) -> int:
    plan = json.loads(arguments[0])
    if plan["nohup"]:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if plan["subreaper"]:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    children = [Child(**{**child, "argv": tuple(child["argv"])}) for child in plan["children"]]
    backoff = Backoff(**plan["backoff"])
    return Supervisor(children, grace=plan["grace"], log=_JsonLines(), backoff=backoff).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
