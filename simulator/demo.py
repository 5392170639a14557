"""``ackfirst demo``: start everything, send signed traffic, check that nothing was lost and nothing forged handled."""

import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Final

import click
from rich.console import Console

from ackfirst.shared.errors import ConfigurationError
from ackfirst.simulator import demo_text
from ackfirst.simulator.command import INTERRUPTED
from ackfirst.simulator.demo_run import ROOT, DemoFailed, DemoRun
from ackfirst.simulator.pace import Pace

COUNT: Final = 2000
RATE: Final = 300.0


@click.command()
@click.option("--count", type=click.IntRange(100, 100_000), default=COUNT, show_default=True, help="Callbacks to send.")
@click.option("--rate", type=click.FloatRange(0), default=RATE, show_default=True, help="Per second; 0: no limit.")
@click.option("--seed", type=int, help="The same seed sends the same messages again. [default: another each time]")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything in a new folder in here. [default: a temporary folder, kept only after a failure]",
)
def command(count: int, rate: float, seed: int | None, data_dir: Path | None) -> None:
    """Show the whole road on this machine: a private Valkey, ingest, a worker with the example handlers, traffic.

    Sends callbacks of every family with duplicates, forgeries and disorder, and compares what was acknowledged with
    what the handlers saw. Exits with 0 only when nothing is missing and nothing forged came through.
    """
    signal.signal(signal.SIGTERM, _like_ctrl_c)
    if not (ROOT / "examples" / "handlers.py").is_file():
        raise ConfigurationError("the demo needs examples/handlers.py: run it from a checkout of the sources")
    console = Console(highlight=False)
    folder = _fresh_folder(data_dir)
    demo = DemoRun(console, folder, count=count, seed=_seed(seed), pace=Pace(rate=rate))
    code = 1
    try:
        code = _play(demo, console)
    finally:
        _tidy(console, folder, remove=code != 1 and data_dir is None)
    sys.exit(code)


def _play(demo: DemoRun, console: Console) -> int:
    """The exit code."""
    console.print("\n[bold]ackfirst demo[/]: signed callbacks through the whole stack, on this machine only\n")
    try:
        outcome = demo.play()
    except DemoFailed as error:
        console.print(f"\n[bold red]The demo could not run:[/] {error}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    demo_text.show(console, outcome)
    return 0 if outcome.is_good else 1


def _seed(wanted: int | None) -> int:
    return secrets.randbelow(2**32) if wanted is None else wanted


def _fresh_folder(parent: Path | None) -> Path:
    try:
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="ackfirst-demo-", dir=parent)).resolve()
    except OSError as error:
        raise ConfigurationError(f"no folder can be made in {parent}: {error.strerror}; check --data-dir") from error


def _tidy(console: Console, folder: Path, *, remove: bool) -> None:
    if remove:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"\nKept for a closer look: {folder} (stack.log, ledger.jsonl, events.db)", soft_wrap=True)


def _like_ctrl_c(_signum: int, _frame: FrameType | None) -> None:
    """An exception from here could end in any callback of the event loop; Ctrl-C has a way to the run's own task."""
    signal.raise_signal(signal.SIGINT)
