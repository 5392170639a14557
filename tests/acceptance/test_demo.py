"""``ackfirst demo``: what a newcomer runs first."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Cli, run_cli
from tests.support.waiting import wait_until

PACKAGES = ("ingest", "workers", "shared", "ops", "simulator", "pytest_plugin", "examples", "src")
FEW = ("--count", "150")
TIMEOUT = 150.0


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the demo makes its temporary folder; a space in it must not matter."""
    folder = tmp_path / "temporary files"
    folder.mkdir()
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the sources under a path with a space, which a test may break."""
    folder = tmp_path / "my checkout"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, symlinks=True)
    return folder


def importable(checkout: Path) -> dict[str, str]:
    """Lets a process import that checkout instead of this one, which is installed."""
    return {"PYTHONPATH": str(checkout / "src")}


def processes_with(text: str) -> list[int]:
    """Processes in whose environment or command line ``text`` occurs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if text.encode() in (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_two_demos_at_once_balance_also_from_a_checkout_whose_path_has_a_space(
    checkout: Path, tmp_path: Path, temporary: Path
) -> None:
    kept = tmp_path / "kept runs"
    env = {"TMPDIR": str(temporary)}
    with (
        Cli("demo", *FEW, cwd=tmp_path, env=env) as plain,
        Cli(
            *("demo", *FEW, "--data-dir", str(kept)), cwd=checkout, env={**env, **importable(checkout)}, warm=False
        ) as spaced,
    ):
        for cli in (plain, spaced):
            assert cli.wait(TIMEOUT) == 0, cli.output
            assert "The ledger balances" in cli.output
        assert "make dev" in plain.output

    (folder,) = kept.iterdir()
    assert {"events.db", "ledger.jsonl", "stack.log"} <= {file.name for file in folder.iterdir()}
    assert str(folder) in spaced.output.replace("\n", "")
    assert list(temporary.iterdir()) == []
    assert processes_with(str(temporary)) == []


def test_a_demo_whose_stack_cannot_start_says_why_and_keeps_its_folder(checkout: Path, temporary: Path) -> None:
    (checkout / "examples" / "__init__.py").write_text("import a_module_that_is_not_there\n")
    env = {**importable(checkout), "TMPDIR": str(temporary)}
    cli = run_cli("demo", *FEW, cwd=checkout, env=env, timeout=TIMEOUT, warm=False)

    (folder,) = temporary.iterdir()
    assert cli.process.returncode == 1, cli.output
    assert "a_module_that_is_not_there" in cli.output
    assert str(folder) in cli.output.replace("\n", "")
    assert processes_with(str(temporary)) == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_stops_its_stack(signum: signal.Signals, tmp_path: Path, temporary: Path) -> None:
    args = ("demo", "--count", "5000", "--rate", "50")
    with Cli(*args, cwd=tmp_path, env={"TMPDIR": str(temporary)}) as cli:
        wait_until(lambda: list(temporary.glob("*/events.db")), timeout=60, message="an event was handled")
        cli.process.send_signal(signum)
        assert cli.wait(60) == 130, cli.output

    assert list(temporary.iterdir()) == []
    assert processes_with(str(temporary)) == []
