"""How a supervisor ends its children: by request, in order, within its grace, and by force where need be."""

import os
import signal
import time
from pathlib import Path

import pytest

from ackfirst.shared.processes.child import Backoff
from tests.support.supervised import OBEDIENT, SLOW_TO_STOP, STUBBORN, Supervised, child, is_alive
from tests.support.waiting import wait_until


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_stops_every_child_and_is_a_success(tmp_path: Path, signum: signal.Signals) -> None:
    with Supervised(tmp_path, child("one", SLOW_TO_STOP), child("two", SLOW_TO_STOP)) as supervised:
        supervised.wait_for_notes(2)
        supervised.signal(signum)

        assert supervised.wait() == 0
        assert {name for name, word, _ in supervised.notes if word == "gone"} == {"one", "two"}
        assert [line["exit_code"] for line in supervised.log if line["event"] == "child.stopped"] == [0, 0]


def test_a_stage_is_told_to_stop_when_the_one_before_is_gone(tmp_path: Path) -> None:
    children = [
        child("last", SLOW_TO_STOP, stage=2),
        child("first", SLOW_TO_STOP),
        child("next", SLOW_TO_STOP, stage=1),
    ]
    with Supervised(tmp_path, *children) as supervised:
        supervised.wait_for_notes(3)
        supervised.signal(signal.SIGTERM)

        assert supervised.wait() == 0
        order = [(name, word) for name, word, _ in supervised.notes if word != "up"]
        assert order == [(name, word) for name in ("first", "next", "last") for word in ("told", "gone")]


def test_a_child_that_does_not_listen_is_killed_after_the_grace(tmp_path: Path) -> None:
    with Supervised(tmp_path, child("deaf", STUBBORN), child("good", OBEDIENT), grace=2) as supervised:
        supervised.wait_for_notes(2)
        told = time.monotonic()
        supervised.signal(signal.SIGTERM)

        assert supervised.wait() == 0
        assert time.monotonic() - told >= 2
        assert [line["child"] for line in supervised.log if line["event"] == "child.killed"] == ["deaf"]
        assert not any(map(is_alive, supervised.pids()))


def test_a_second_signal_does_not_wait_for_the_grace(tmp_path: Path) -> None:
    stages = [child("deaf", STUBBORN), child("later", STUBBORN, stage=1)]
    with Supervised(tmp_path, *stages, child("told", SLOW_TO_STOP), grace=600) as supervised:
        supervised.wait_for_notes(3)
        supervised.signal(signal.SIGINT)
        supervised.wait_for_notes(1, "told")
        supervised.signal(signal.SIGINT)

        assert supervised.wait() == 0
        assert not any(map(is_alive, supervised.pids()))


def test_what_a_killed_child_has_started_in_its_group_goes_with_it(tmp_path: Path) -> None:
    program = "p = subprocess.Popen(['sleep', '60']); note(f'helper-{p.pid}');" + STUBBORN
    with Supervised(tmp_path, child("parent", program), grace=0.2) as supervised:
        supervised.wait_for_notes(1)
        helper = next(int(word.removeprefix("helper-")) for _, word, _ in supervised.notes if word != "up")
        assert is_alive(helper)
        supervised.signal(signal.SIGTERM)

        assert supervised.wait() == 0
        wait_until(lambda: not is_alive(helper), message="the helper is gone")


def test_a_stop_during_a_pause_starts_nothing_more(tmp_path: Path) -> None:
    backoff = Backoff(first=60, limit=60, steady=60)
    with Supervised(tmp_path, child("crash", "sys.exit(1)"), backoff=backoff) as supervised:
        wait_until(lambda: supervised.logged("child.ended", "crash"))
        supervised.signal(signal.SIGTERM)

        assert supervised.wait(5) == 0
        assert len(supervised.pids()) == 1


def test_ctrl_c_in_the_terminal_does_not_reach_the_children(tmp_path: Path) -> None:
    with Supervised(tmp_path, child("one", OBEDIENT)) as supervised:
        supervised.wait_for_notes(1)

        assert os.getsid(supervised.pids()[0]) != os.getsid(supervised.process.pid)


def test_a_closed_terminal_does_not_stop_what_runs_under_nohup(tmp_path: Path) -> None:
    with Supervised(tmp_path, child("one", OBEDIENT), nohup=True) as supervised:
        supervised.wait_for_notes(1)
        supervised.signal(signal.SIGHUP)
        os.kill(supervised.pids()[0], signal.SIGKILL)

        supervised.wait_for_notes(2)
        assert supervised.process.poll() is None
