"""The rooms are importable under their bare names from the repository's root; nothing of ours may do so."""

import subprocess
import sys

import pytest

from tests.support.processes import ROOT

ROOMS = sorted(link.name for link in (ROOT / "src" / "ackfirst").iterdir() if link.is_symlink())


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("statement", ["import {}", "from {} import keys", "from {}.queue import keys"])
def test_a_bare_name_of_a_room_is_refused_by_lint(room: str, statement: str) -> None:
    code = f"{statement.format(room)}\n"
    options = ("check", "--select", "TID251", "--no-cache", "--stdin-filename", "ingest/example.py", "-")
    ran = subprocess.run(
        [sys.executable, "-m", "ruff", *options], cwd=ROOT, input=code, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, f"import ackfirst.{room}" in ran.stdout) == (1, True), ran.stdout + ran.stderr
