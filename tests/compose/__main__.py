"""``python -m tests.compose``: the compose stack on a real engine, through everything that an operator does with it."""

import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from tests.compose.engine import ROOT, NoEngine, engine
from tests.compose.stack import CommandFailed, Stack
from tests.compose.steps import Steps


def _images() -> tuple[str, ...]:
    """The official images that the stack cannot do without."""
    wanted = ("PYTHON_IMAGE", "REDIS_IMAGE", "NGINX_IMAGE", "PROMETHEUS_IMAGE")
    found = dict(re.findall(r"\$\{([A-Z]+_IMAGE):-([^}]+)\}", (ROOT / "docker-compose.yml").read_text()))
    return tuple(found[name] for name in wanted)


def _steps(steps: Steps) -> tuple[Callable[[], None], ...]:
    return (
        steps.start_with_nothing_configured,
        steps.configure_an_account,
        steps.scale_workers,
        steps.restart_redis,
        steps.kill_redis,
        steps.roll_ingest,
        steps.roll_workers,
        steps.restart_workers,
        steps.restart_web,
        steps.reload_edge,
        steps.observe,
        steps.serve_tls,
        steps.run_own_image,
        steps.back_up_and_restore,
        steps.restart_everything,
        steps.lose_the_master,
    )


@click.command()
@click.option("--only", multiple=True, metavar="STEP", help="Only this step, after the first two; may be repeated.")
@click.option("--list", "listed", is_flag=True, help="Name every step and end.")
def main(*, only: tuple[str, ...], listed: bool) -> None:
    """Start the compose stack of a fresh copy, do to it what operators do, and check that nothing is lost.

    Exits with 1 when a step fails, with 2 when there is no engine to run it on.
    """
    if listed:
        for name, about in ((step.__name__, step.__doc__) for step in _steps(Steps.__new__(Steps))):
            click.echo(f"{name:<30} {about}")
        return
    folder = Path(tempfile.mkdtemp(prefix="ackfirst-compose-"))
    try:
        with engine(_images()) as found:
            click.echo(f"engine: {found.what}")
            with Stack(found, folder) as stack:
                good = _play(stack, folder, only)
    except NoEngine as error:
        click.echo(f"compose-test: {error}", err=True)
        sys.exit(2)
    sys.exit(not good)


_FIRST: Final = 2


def _play(stack: Stack, folder: Path, only: tuple[str, ...]) -> bool:
    steps = Steps(stack, folder, report=lambda text: click.echo("\n".join(f"    {line}" for line in text.splitlines())))
    for number, step in enumerate(_steps(steps)):
        if only and number >= _FIRST and step.__name__ not in only:
            continue
        begun = time.monotonic()
        try:
            step()
        except (AssertionError, CommandFailed, TimeoutError) as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            click.echo(f"{step.__name__}: FAILED after {time.monotonic() - begun:.1f} s: {error} ({where.line})")
            (folder / "logs.txt").write_text(stack.compose("logs", "--no-color"))
            click.echo(f"all logs: {folder / 'logs.txt'}")
            return False
        click.echo(f"{step.__name__}: {time.monotonic() - begun:.1f} s")
    return _balance(steps)


def _balance(steps: Steps) -> bool:
    missing = sum(len(line.missing) for line in steps.lines)
    refused = sum(sum(line.sent.refused.values()) for line in steps.lines)
    sent = sum(line.sent.callbacks for line in steps.lines)
    click.echo(f"ledger: {sent} callbacks, other than 200: {refused}, missing: {missing}")
    return not missing and not refused


if __name__ == "__main__":
    main()
