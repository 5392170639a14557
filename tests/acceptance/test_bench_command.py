"""``python -m bench`` as somebody calls it who wants one section only."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def bench(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_one_section_is_measured_printed_as_json_and_written_to_the_page(tmp_path: Path) -> None:
    page = tmp_path / "new" / "performance.md"
    done = bench("--only", "stages", "--rounds", "1", "--json", "--page", str(page))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["section"] for row in rows} == {"stages"}
    assert all(row["median"] > 0 and row["rounds"] == 1 for row in rows)
    assert "section 1 of 1" in done.stderr
    assert f"| {rows[-1]['what']} |" in page.read_text()


def test_a_section_that_does_not_exist_is_refused_with_the_names_of_all() -> None:
    done = bench("--only", "everything")
    assert done.returncode == 2
    assert "'waiting'" in done.stderr
