"""``docs/simulator.md`` tells of every option, and its example runs."""

import re
import subprocess
import sys
from pathlib import Path

from ackfirst.simulator.command import command
from tests.support.processes import ROOT

PAGE = (ROOT / "docs" / "simulator.md").read_text()


def test_every_option_is_on_the_page() -> None:
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    wanted = {name for name in options if name.startswith("--")} - {"--retry-unsigned"}
    assert {name for name in wanted if not re.search(rf"`[^`]*{name}\b", PAGE)} == set()


def test_the_example_runs(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(code)
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=90)
    assert "4 passed" in ended.stdout, ended.stdout + ended.stderr
