"""A child that dies comes back; one whose configuration is wrong does not, and takes the others along."""

import os
import signal
from pathlib import Path

from ackfirst.shared.processes.child import Backoff, Child
from tests.support.supervised import OBEDIENT, Supervised, child, is_alive
from tests.support.waiting import wait_until


def test_a_killed_child_is_started_again_and_its_sibling_goes_on(tmp_path: Path) -> None:
    with Supervised(tmp_path, child("victim", OBEDIENT), child("sibling", OBEDIENT)) as supervised:
        supervised.wait_for_notes(2)
        os.kill(supervised.pids("victim")[0], signal.SIGKILL)
        supervised.wait_for_notes(3)

        first, second = supervised.pids("victim")
        assert first != second
        assert is_alive(second)
        assert len(supervised.pids("sibling")) == 1
        assert is_alive(supervised.pids("sibling")[0])


def test_the_log_says_how_a_child_ended_and_when_it_comes_back(tmp_path: Path) -> None:
    crash = child("crash", "note('up'); sys.exit(7)")
    killed = child("killed", "note('up'); os.kill(os.getpid(), signal.SIGSEGV)")
    with Supervised(tmp_path, crash, killed) as supervised:
        wait_until(lambda: supervised.logged("child.ended", "crash") and supervised.logged("child.ended", "killed"))

        by_code = supervised.logged("child.ended", "crash")[0]
        by_signal = supervised.logged("child.ended", "killed")[0]
        assert by_code["exit_code"] == 7
        assert by_code["pause_seconds"] == 0.05
        assert by_signal["signal"] == "SIGSEGV"
        assert "exit_code" not in by_signal


def test_the_pauses_of_a_child_that_keeps_dying_double_up_to_the_limit(tmp_path: Path) -> None:
    with Supervised(tmp_path, child("crash", "sys.exit(1)")) as supervised:
        wait_until(lambda: len(supervised.logged("child.ended", "crash")) >= 5)

        pauses = [line["pause_seconds"] for line in supervised.logged("child.ended", "crash")[:5]]
        assert pauses == [0.05, 0.1, 0.2, 0.2, 0.2]


def test_a_child_that_was_steady_comes_back_after_the_first_pause(tmp_path: Path) -> None:
    backoff = Backoff(first=0.05, limit=2.0, steady=1.5)
    program = "time.sleep(0 if sum(1 for _ in open(os.environ['NOTES'])) < 2 else 2); note('over'); sys.exit(1)"
    with Supervised(tmp_path, child("late", program), backoff=backoff) as supervised:
        wait_until(lambda: len(supervised.logged("child.ended", "late")) >= 3, timeout=30)

        pauses = [line["pause_seconds"] for line in supervised.logged("child.ended", "late")[:3]]
        assert pauses == [0.05, 0.1, 0.05]


def test_exit_code_2_stops_the_others_and_is_handed_on(tmp_path: Path) -> None:
    wrong = child("wrong", "time.sleep(0.3); sys.exit(2)")
    with Supervised(tmp_path, child("sibling", OBEDIENT), wrong) as supervised:
        assert supervised.wait() == 2

        assert len(supervised.pids("wrong")) == 1
        assert supervised.logged("child.ended", "wrong")[0]["exit_code"] == 2
        assert not is_alive(supervised.pids("sibling")[0])


def test_exit_code_2_of_a_child_that_ran_well_before_does_not_take_the_others_along(tmp_path: Path) -> None:
    backoff = Backoff(first=0.05, limit=0.1, steady=0.4)
    program = "time.sleep(0.6 if open(os.environ['NOTES']).read().count('late') < 1 else 0); note('over'); sys.exit(2)"
    children = child("late", program), child("sibling", OBEDIENT)
    with Supervised(tmp_path, *children, backoff=backoff) as supervised:
        wait_until(lambda: len(supervised.logged("child.ended", "late")) >= 3, timeout=30)

        assert is_alive(supervised.pids("sibling")[0])


def test_a_program_that_cannot_be_started_is_tried_again_like_one_that_died(tmp_path: Path) -> None:
    late = tmp_path / "late"
    with Supervised(tmp_path, Child(name="late", argv=(str(late),)), child("sibling", OBEDIENT)) as supervised:
        wait_until(lambda: supervised.logged("child.not-started", "late"))
        assert str(late) in supervised.logged("child.not-started", "late")[0]["error"]
        late.write_text("#!/bin/sh\nexec sleep 60\n")
        late.chmod(0o700)

        wait_until(lambda: supervised.pids("late"))
        supervised.signal(signal.SIGTERM)
        assert supervised.wait() == 0
