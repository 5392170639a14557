"""The listing in ``docs/architecture.md``: one line a file. ``python -m tests.support.file_listing`` writes it anew."""

import ast
import re
import subprocess
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"

_BEGIN = "<!-- listing: python -m tests.support.file_listing -->\n"
_END = "<!-- end of listing -->"

_PLAIN = {
    ".ci/run": "What every change must pass.",
    ".editorconfig": "Line ends and indents, for editors.",
    ".gitignore": "What is made here and not kept.",
    "CHANGELOG.md": "What a user would notice, release by release.",
    "CONTRIBUTING.md": "How to change things.",
    "LICENSE": "MIT.",
    "Makefile": "`make help` lists its targets; each makes `.venv` itself.",
    "README.md": "The first page.",
    "ackfirst.example.toml": "Several accounts, rotation, lanes: a file to copy to `ackfirst.toml`.",
    "constraints.txt": "The exact version of every dependency.",
    "docs/architecture.md": "This page.",
    "docs/handlers.md": "For who writes handlers.",
    "docs/nexmo.md": "What Nexmo sends, what it wants back, and where its documentation contradicts itself.",
    "docs/performance.md": "What `make bench` measured, against its references and limits.",
    "docs/performance/bodies.svg": "Chart: rates with larger bodies, drawn by `make bench`.",
    "docs/performance/processes.svg": "Chart: rates with more processes, drawn by `make bench`.",
    "docs/performance/waiting.svg": "Chart: rates with more waiting events, drawn by `make bench`.",
    "docs/reliability.md": "Every fault with its ledger, as `make chaos` measured it.",
    "docs/settings.md": "Every setting, and the accounts file.",
    "docs/simulator.md": "The simulator, and how to test handlers with it.",
    "docs/simulator/stall-demo.svg": "Picture: the stall demo, as it drew it.",
    "examples/README.md": "How to use the example.",
    "pyproject.toml": "Dependencies, packages, and the rules of ruff, mypy, pytest and import-linter.",
    "tests/golden/envelope-v1.json": "An envelope as version 1 wrote it: must be readable for ever.",
}


def files() -> list[str]:
    """Every file that git keeps, or would keep."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in set(listed.splitlines()) if (ROOT / name).exists())


def listing() -> str:
    """Markdown: a heading a folder, a table row a file."""
    by_folder = groupby(sorted(files(), key=_order), key=_folder)
    head = "| file | what it is |\n| --- | --- |"
    return "".join(f"\n### {folder}\n\n{head}\n{_rows(names)}" for folder, names in by_folder)


def written() -> str:
    """The listing as the page has it."""
    return PAGE.read_text().partition(_BEGIN)[2].partition(_END)[0]


def purpose(name: str) -> str:
    """One line about a file: from the table above, or from the head of the file itself."""
    if name in _PLAIN:
        return _PLAIN[name]
    text = (ROOT / name).read_text()
    if name.endswith(".py"):
        return " ".join((ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0].split())
    if name.endswith("py.typed"):
        return "Marks the package as typed."
    return re.sub(r"^(--|/\*|#)\s*|\s*\*/$", "", text.partition("\n")[0])


def _order(name: str) -> tuple[str, str]:
    return _folder(name), name


def _folder(name: str) -> str:
    folder = str(Path(name).parent)
    return "the top" if folder == "." else f"{folder}/"


def _rows(names: Iterable[str]) -> str:
    return "".join(f"| `{Path(name).name}` | {purpose(name).replace('|', chr(92) + '|')} |\n" for name in names)


def write() -> None:
    """Put the listing into the page."""
    head, _, rest = PAGE.read_text().partition(_BEGIN)
    PAGE.write_text(f"{head}{_BEGIN}{listing()}{_END}{rest.partition(_END)[2]}")


if __name__ == "__main__":
    write()
