"""The command line by which one ackfirst process starts another."""

import subprocess
import sys
from pathlib import Path

from ackfirst.shared.processes.supervisor import reexec
from tests.support.processes import clean_environment


def test_it_runs_the_command_line_with_this_interpreter() -> None:
    assert reexec("worker", "--lane", "test")[0] == sys.executable
    assert reexec("worker", "--lane", "test")[-3:] == ("worker", "--lane", "test")


def test_a_folder_of_the_same_name_where_the_user_stands_is_not_run_instead(tmp_path: Path) -> None:
    (tmp_path / "ackfirst").mkdir()
    (tmp_path / "ackfirst" / "__init__.py").touch()
    (tmp_path / "ackfirst" / "__main__.py").write_text("print('the wrong one')")

    ran = subprocess.run(
        reexec("--version"),
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.startswith("ackfirst ")
