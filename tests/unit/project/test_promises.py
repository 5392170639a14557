"""Every promise of docs/reliability.md names evidence that exists; one without evidence reads "unchecked"."""

import re

from tests.chaos.evidence import UNCHECKED, Evidence, Exercise, table
from tests.chaos.fault import Fault
from tests.chaos.ledger import unplayed
from tests.chaos.matrix import FAULTS
from tests.chaos.page import page
from tests.chaos.promises import ALL, PROMISES
from tests.support.processes import ROOT

NOTHING = Evidence((), {}, {})


def test_what_a_promise_names_exists() -> None:
    faults = {fault.name for fault in FAULTS} | {ALL}
    assert [row for promise in PROMISES for row in promise.rows if row not in faults] == []
    assert [file for one in PROMISES for file in one.tests if not (ROOT / "tests" / file).exists()] == []
    assert [one.says for one in PROMISES if not (one.rows or one.drills or one.tests)] == []


def test_a_promise_of_which_nothing_was_run_reads_unchecked() -> None:
    lines = table(NOTHING).splitlines()[2:]
    assert len(lines) == len(PROMISES)
    assert all(line.endswith(f"| {UNCHECKED} | {UNCHECKED} |") for line in lines)


def test_tests_that_were_all_skipped_are_no_evidence() -> None:
    file = "unit/spool/test_crash_states.py"
    assert UNCHECKED in _line(Evidence((), {}, {file: (0, 0, 4)}))
    assert "3 passed, 1 skipped | unchecked but for its tests" in _line(Evidence((), {}, {file: (3, 0, 1)}))
    assert "1 failed | **NOT KEPT**" in _line(Evidence((), {}, {file: (3, 1, 0)}))


def test_a_drill_that_loses_something_breaks_its_promise() -> None:
    lost = Exercise("`power-loss`: 3 power losses, missing 1", good=False)
    assert "**NOT KEPT**" in _line(Evidence((), {"power-loss": lost}, {}))
    assert UNCHECKED in _line(Evidence((), {"power-loss": None}, {}))


def test_a_row_that_does_not_hold_breaks_its_promises() -> None:
    row = unplayed(Fault(name="redis-kill-9", about="", strike=lambda *_: None), "steady", "it did not start")
    broken = [line for line in table(Evidence((row,), {}, {})).splitlines() if "NOT KEPT" in line]
    assert len(broken) == sum("redis-kill-9" in one.rows or ALL in one.rows for one in PROMISES)


def test_the_page_names_seed_and_commit() -> None:
    text = page(NOTHING, seconds=1.0, seed=4711, jobs=1, quick=False)
    assert re.search(r"commit [0-9a-f]{7,}\+?, seed 4711", text)


def _line(evidence: Evidence) -> str:
    return next(line for line in table(evidence).splitlines() if "loss of power at any moment" in line)
