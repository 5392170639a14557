"""Run the drills and tests of the promises, and say of each promise how often it was exercised."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.chaos.ledger import Ledger
from tests.chaos.promises import ALL, PROMISES, Promise
from tests.support.processes import ROOT

#: Seconds of power losses, and machines that are lost.
POWER_SECONDS: Final = 60
MACHINES: Final = 2

#: Seconds after which a drill or the tests count as not run.
_PATIENCE: Final = 1200

UNCHECKED: Final = "unchecked"


@dataclass(frozen=True, slots=True)
class Exercise:
    """One piece of evidence."""

    words: str
    """What was done, how often, with which result."""
    good: bool


def drill(name: str, seed: int) -> Exercise | None:
    """Run a drill; None where it cannot be played here."""
    command, *options = name.split()
    amount = {"power-loss": ["--seconds", str(POWER_SECONDS)], "lost-machine": ["--rounds", str(MACHINES)]}[command]
    argv = [sys.executable, "-m", "tests.drills", command, *options, *amount, "--seed", str(seed), "--json"]
    try:
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return Exercise(f"`{name}`: no end within {_PATIENCE} s", good=False)
    results: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not results:
        return None if done.returncode == 2 else Exercise(f"`{name}`: failed", good=False)
    says = _power if command == "power-loss" else _machine
    return Exercise(f"`{name}`: {says(results)}", good=not done.returncode)


def _power(results: Sequence[Mapping[str, Any]]) -> str:
    (one,) = results
    return (
        f"{one['rounds']} power losses and {one['kills']} kills, {one['acknowledged']:,} acknowledged, "
        f"missing {len(one['missing'])}"
    )


def _machine(results: Sequence[Mapping[str, Any]]) -> str:
    said = []
    for guard in dict.fromkeys(one["guard"] for one in results):
        these = [one for one in results if one["guard"] == guard]
        count = sum(one["acknowledged"] for one in these)
        said.append(
            f"with {guard} {len(these)} lost, {count:,} acknowledged, missing {sum(o['missing'] for o in these)}"
        )
    return "; ".join(said)


def run_tests(files: Sequence[str], seed: int) -> dict[str, tuple[int, int, int]]:
    """Run test files; file → passed, failed and skipped tests."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        argv = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", f"--hypothesis-seed={seed}"]
        paths = [f"tests/{file}" for file in files]
        try:
            subprocess.run([*argv, *paths], cwd=ROOT, capture_output=True, timeout=_PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            return {}
        cases = list(ET.parse(report).getroot().iter("testcase")) if report.exists() else []
    found: dict[str, tuple[int, int, int]] = {}
    for file in files:
        name = "tests." + file.removesuffix(".py").replace("/", ".")
        mine = [case for case in cases if case.get("classname", "").startswith(name)]
        skipped = sum(case.find("skipped") is not None for case in mine)
        failed = sum(case.find("failure") is not None or case.find("error") is not None for case in mine)
        found[file] = (len(mine) - skipped - failed, failed, skipped)
    return found


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was exercised in one run."""

    rows: Sequence[Ledger]
    drills: Mapping[str, Exercise | None]
    tests: Mapping[str, tuple[int, int, int]]

    def of(self, promise: Promise) -> list[Exercise]:
        """The evidence for a promise; none if nothing of it was run."""
        return [
            *self._of_rows(promise),
            *(found for name in promise.drills if (found := self.drills.get(name))),
            *(_of_tests(file, self.tests[file]) for file in promise.tests if any(self.tests.get(file, (0, 0))[:2])),
        ]

    def is_exercised(self, promise: Promise) -> bool:
        """Whether a row or a drill of those that it names was played; True where it names none."""
        named = bool(promise.rows or promise.drills)
        return not named or bool(self._of_rows(promise)) or any(self.drills.get(name) for name in promise.drills)

    def _of_rows(self, promise: Promise) -> list[Exercise]:
        mine = [row for row in self.rows if row.fault in promise.rows or ALL in promise.rows]
        if not mine:
            return []
        kept, acked = sum(map(promise.judge, mine)), sum(row.acked for row in mine)
        names = "all rows" if ALL in promise.rows else ", ".join(f"`{n}`" for n in dict.fromkeys(r.fault for r in mine))
        missing = sum(len(row.missing) for row in mine)
        words = f"{names}: kept in {kept} of {len(mine)} rows, {acked:,} acknowledged, missing {missing}"
        return [Exercise(words, good=kept == len(mine))]


def _of_tests(file: str, counts: tuple[int, int, int]) -> Exercise:
    passed, failed, skipped = counts
    more = "".join(f", {count} {what}" for what, count in (("failed", failed), ("skipped", skipped)) if count)
    return Exercise(f"`tests/{file}`: {passed} passed{more}", good=not failed)


def gather(rows: Sequence[Ledger], seed: int) -> Evidence:
    """Run what the promises name, besides the rows that were run already."""
    drills = dict.fromkeys(name for promise in PROMISES for name in promise.drills)
    files = list(dict.fromkeys(file for promise in PROMISES for file in promise.tests))
    return Evidence(rows, {name: drill(name, seed) for name in drills}, run_tests(files, seed))


def table(evidence: Evidence) -> str:
    """One line a promise."""
    lines = ["| promise | exercised by, how often, with which result | |", "| --- | --- | --- |"]
    for promise in PROMISES:
        found = evidence.of(promise)
        verdict = ("kept" if all(one.good for one in found) else "**NOT KEPT**") if found else UNCHECKED
        if verdict == "kept" and not evidence.is_exercised(promise):
            verdict = f"{UNCHECKED} but for its tests"
        lines.append(f"| {promise.says} | {'; '.join(one.words for one in found) or UNCHECKED} | {verdict} |")
    return "\n".join(lines)
