"""Install the peers beside ackfirst, once: Python ones into a virtual environment, Node's where there is a Node."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_HERE: Final = ROOT / ".bench"
_APPS: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Peers:
    """The programs that run them."""

    python: str
    """The interpreter that has the Python ones."""
    arq: str
    """The one that has arq."""
    node: str | None
    """The folder that has Node's, with our scripts; None where there is no Node."""


def install() -> Peers:
    """Install what is missing or has changed. Needs the package indexes."""
    return Peers(_python("venv", "requirements.txt"), _python("venv-arq", "requirements-arq.txt"), _node())


def _python(name: str, wanted: str) -> str:
    requirements = ROOT / "bench" / wanted
    python = str(_HERE / name / "bin" / "python")

    def make() -> None:
        _run(sys.executable, "-m", "venv", "--clear", str(_HERE / name))
        _run(python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "-r", str(requirements))

    _once(_HERE / f"{name}.installed", requirements, make)
    return python


def _node() -> str | None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None
    folder = _HERE / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for file in (_APPS / "package.json", *_APPS.glob("*.mjs")):
        shutil.copy(file, folder)
    _once(
        _HERE / "node.installed",
        _APPS / "package.json",
        lambda: _run(npm, "install", "--silent", "--no-audit", "--no-fund", cwd=folder),
    )
    return str(folder)


def _once(stamp: Path, wanted: Path, work: Callable[[], None]) -> None:
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    work()
    stamp.write_text(digest)


def _run(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.DEVNULL)
