"""A supervisor that is killed leaves no child behind, on any platform and at any depth."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ackfirst.shared.processes.parent_death import SUPERVISOR_PID
from tests.support.processes import ROOT, clean_environment
from tests.support.supervised import STUBBORN, Supervised, child, is_alive
from tests.support.waiting import wait_until

WITH_PARENT = "from ackfirst.shared.processes.parent_death import die_with_parent; die_with_parent();"
NESTED = """
import json, logging
from ackfirst.shared.processes.parent_death import die_with_parent
from ackfirst.shared.processes.supervisor import Child, Supervisor
die_with_parent()
inner = Child(name='inner', argv=(sys.executable, '-c', os.environ['INNER']), env={'NAME': 'inner'})
class Log:
    def info(self, event, /, **fields): pass
    warning = info
Supervisor([inner], grace=600, log=Log()).run()
"""


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_children_of_a_killed_supervisor_end(tmp_path: Path, platform: str) -> None:
    program = f"sys.platform = {platform!r};" + WITH_PARENT + STUBBORN
    children = [child("one", program, isolated=False), child("two", program, isolated=False)]
    with Supervised(tmp_path, *children) as supervised:
        supervised.wait_for_notes(2)
        supervised.process.kill()

        wait_until(lambda: not any(map(is_alive, supervised.pids())), message="the children are gone")


def test_children_of_its_children_end_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prelude = child("x", "").argv[-1]
    monkeypatch.setenv("INNER", prelude + WITH_PARENT + STUBBORN)
    with Supervised(tmp_path, child("outer", NESTED, isolated=False)) as supervised:
        ((name, _, inner),) = supervised.wait_for_notes(1)
        assert name == "inner"
        supervised.process.kill()

        wait_until(lambda: not is_alive(inner), message="the inner child is gone")
        assert not is_alive(supervised.pids("outer")[0])


def test_a_child_whose_supervisor_ended_before_it_could_ask_ends_at_once() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    late = _run(WITH_PARENT + "print('survived')", **{SUPERVISOR_PID: str(gone.pid)})

    assert late.returncode == -signal.SIGKILL
    assert late.stdout == ""


def test_a_process_that_nobody_supervises_outlives_its_parent() -> None:
    inner = WITH_PARENT + "import time; print('up', flush=True); time.sleep(60)"
    outer = f"""
import subprocess, sys
inner = subprocess.Popen([sys.executable, '-c', {inner!r}], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
inner.stdout.readline()
print(inner.pid)
"""
    pid = int(_run(outer).stdout)
    try:
        assert is_alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_what_a_supervised_process_starts_itself_does_not_take_the_supervisor_for_its_parent() -> None:
    program = f"import os; {WITH_PARENT} print({SUPERVISOR_PID!r} in os.environ)"

    assert _run(program, **{SUPERVISOR_PID: str(os.getpid())}).stdout == "False\n"


def _run(program: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(PYTHONPATH=str(ROOT), **env),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
