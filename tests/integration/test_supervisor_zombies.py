"""A supervisor that inherits orphans, as process 1 of a container does, leaves no zombies."""

import signal
import sys
from pathlib import Path

import pytest

from tests.support.supervised import OBEDIENT, Supervised, child
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")

#: Starts a process that starts another one and ends: that one is an orphan, and ends a moment later.
LEAVES_AN_ORPHAN = """
middle = "import subprocess; subprocess.Popen(['sleep', '0.2'])"
subprocess.run([sys.executable, '-c', middle])
"""


def zombies_of(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = path.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state == "Z" and int(ppid) == parent:
            found.append(int(path.parent.name))
    return found


def test_orphans_are_reaped_and_children_still_have_their_exit_codes(tmp_path: Path) -> None:
    leaver = child("leaver", LEAVES_AN_ORPHAN + OBEDIENT)
    with Supervised(tmp_path, leaver, subreaper=True) as supervised:
        supervised.wait_for_notes(1)
        wait_until(lambda: _orphans(supervised) == 0, message="the orphan has ended, and was reaped")
        wait_until(lambda: zombies_of(supervised.process.pid) == [], message="no zombie is left")
        supervised.signal(signal.SIGTERM)
        assert supervised.wait() == 0
        assert [line["exit_code"] for line in supervised.log if line["event"] == "child.stopped"] == [0]


def _orphans(supervised: Supervised) -> int:
    """How many processes the supervisor has inherited and not reaped."""
    children = Path(f"/proc/{supervised.process.pid}/task/{supervised.process.pid}/children").read_text().split()
    return len(children) - 1
