"""A reader of the architecture page finds every step of a callback's path in the code."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "architecture.md"


def path_rows() -> list[list[str]]:
    path = PAGE.read_text().partition("## The path of a callback")[2].partition("## Rooms")[0]
    rows = [line.split("|")[1:-1] for line in path.splitlines() if line.startswith("| ") and "---" not in line]
    return rows[1:]


def test_every_function_on_the_path_of_a_callback_exists() -> None:
    names = {name.rpartition(".")[2] for row in path_rows() for name in re.findall(r"`([\w.]+)`", row[1])}
    source = "\n".join(file.read_text() for file in ROOT.glob("*/**/*.py") if ".venv" not in file.parts)
    defined = set(re.findall(r"^\s*(?:async )?(?:def|class) (\w+)", source, re.MULTILINE))
    assert names, "the page has a path"
    assert names - defined == set()


def test_every_file_on_the_path_of_a_callback_exists() -> None:
    missing = []
    for row in path_rows():
        folder = None
        for name in re.findall(r"`([\w./]+)`", row[2]):
            folder = ROOT / name.rpartition("/")[0] if "/" in name else folder
            assert folder is not None, row
            if not (folder / name.rpartition("/")[2]).exists():
                missing.append(name)
    assert missing == []
