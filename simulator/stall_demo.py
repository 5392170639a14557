"""``ackfirst simulate stall-demo``: show what a broken test application does to production, with or without us."""

import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TextIO

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from ackfirst.simulator.chart import Span, duration
from ackfirst.simulator.client import UnreachableError
from ackfirst.simulator.command import INTERRUPTED
from ackfirst.simulator.course import Snapshot, draw_courses
from ackfirst.simulator.screen import View, line
from ackfirst.simulator.stack import StackError, raise_interrupt, require_example
from ackfirst.simulator.stall_cure import QUIET, QUIET_SECONDS, Attempt, Cure
from ackfirst.simulator.stall_story import (
    ACKFIRST,
    PLAIN,
    SPEED,
    OnSnapshot,
    Side,
    Stage,
    Story,
    count_processed,
    play,
    wait_until_processed,
)

TITLE: Final = "One account's callbacks while its test application is broken"
_EXPLANATION: Final = """
Times are Nexmo's: a minute of them is a real second. On the left, production's callbacks waited behind a callback of
the test application that was not accepted. On the right, ackfirst accepted all at once, and its worker retried.

Deleting the test application then would have made it worse: callbacks of an application that is gone can never be
delivered, and production waits behind them until they expire, after a day. ackfirst apps delete
  while it was broken: {refused}
  {quiet} after the end: {deleted}

The chart is in {plot}. Another run with --seed {seed} sends the same messages."""
NAMES: Final = {PLAIN: "plain application", ACKFIRST: "behind ackfirst"}


@click.command()
@click.option("--minutes", type=click.FloatRange(5, 600), default=25.0, show_default=True, help="Of Nexmo's time.")
@click.option("--seed", type=int, help="Repeat the messages of an earlier run. [default: random]")
@click.option(
    "--plot",
    type=click.File("w", encoding="utf-8", lazy=False),
    default="stall-demo.svg",
    show_default=True,
    help="SVG file for the chart of both queues.",
)
@click.option("--plain", is_flag=True, help="Print a line now and then instead of a live view.")
def command(minutes: float, seed: int | None, plot: TextIO, *, plain: bool) -> None:
    """Show what a broken test application does to production, with and without ackfirst.

    Sends the same signed callbacks to an application that processes them before it answers, and to ackfirst with the
    same processing in a handler. Nexmo keeps one queue for the account (the strictest reading of its documentation); a
    minute of its time passes in a second. Meanwhile, and at the end, it tries to delete the test application. Exits
    with 0 if both ledgers balance, and the deletion was refused first and allowed last.
    """
    signal.signal(signal.SIGTERM, raise_interrupt)
    require_example("plain_app.py")
    story = Story.new(minutes, secrets.randbelow(2**32) if seed is None else seed)
    console, sides = Console(highlight=False), {PLAIN: Side(), ACKFIRST: Side()}
    folder, attempts = Path(tempfile.mkdtemp(prefix="ackfirst-stall-")).resolve(), list[Attempt]()
    try:
        code = _run(story, Stage(folder, story), sides, attempts, console, plain=plain)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if code != 1:
        plot.write(_chart(story, sides))
        console.print(_ledgers(story, sides))
        refused, deleted = [*(attempt.said for attempt in attempts), "not tried", "not tried"][:2]
        text = _EXPLANATION.format(plot=plot.name, seed=story.seed, refused=refused, deleted=deleted, quiet=QUIET)
        console.print(text, soft_wrap=True, markup=False)
    is_cured = [attempt.is_deleted for attempt in attempts] == [False, True]
    sys.exit(code or int(not (is_cured and all(side.balances(story) for side in sides.values()))))


def _run(
    story: Story, stage: Stage, sides: dict[str, Side], attempts: list[Attempt], console: Console, *, plain: bool
) -> int:
    """Return the exit code before the ledgers are compared: 0, 1 if it could not run, 130 after Ctrl-C."""
    try:
        with ExitStack() as running:
            with console.status("starting the plain application, and ackfirst with its own Valkey"):
                url = running.enter_context(stage.plain_app())
                stack = running.enter_context(stage.ackfirst())
            cure = running.enter_context(Cure(stack, story.account, story.test))
            with _view(plain=plain) as on_snapshot:
                urls = {PLAIN: url, ACKFIRST: stack.url}
                play(story, stage, urls, sides, on_snapshot, while_broken=lambda: attempts.append(cure.attempt()))
            with console.status("waiting for the worker"):
                wait_until_processed(story, stage, sides)
                time.sleep(QUIET_SECONDS)
                attempts.append(cure.attempt())
    except (StackError, UnreachableError) as error:
        console.print(f"[bold red]The demo could not run:[/] {error}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        count_processed(stage, sides)
        return INTERRUPTED
    return 0


@contextmanager
def _view(*, plain: bool) -> Iterator[OnSnapshot]:
    console = Console(stderr=True)
    if plain or not console.is_terminal:
        yield _print_lines() if plain else lambda _name, _snapshot: None
        return
    views = {name: View(title) for name, title in NAMES.items()}
    with Live(
        get_renderable=lambda: Group(*(view.render() for view in views.values())),
        console=console,
        refresh_per_second=5,
        transient=True,
    ):
        yield lambda name, snapshot: views[name].show(snapshot)


def _print_lines() -> OnSnapshot:
    """Return a function that prints one line for each minute of Nexmo's time and each receiver."""
    printed: dict[str, float] = {}

    def show(name: str, snapshot: Snapshot) -> None:
        if snapshot.at - printed.get(name, -SPEED) >= SPEED:
            printed[name] = snapshot.at
            click.echo(f"{name:<9} {line(snapshot)}", err=True)

    return show


def _chart(story: Story, sides: dict[str, Side]) -> str:
    """Draw both queues, and the time during which the test application was broken."""
    broken = Span("test application broken", story.breaks * SPEED, story.repaired * SPEED)
    return draw_courses(TITLE, {NAMES[name]: side.course.snapshots for name, side in sides.items()}, [broken])


def _ledgers(story: Story, sides: dict[str, Side]) -> Table:
    """Return both ledgers side by side."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for name in sides:
        table.add_column(NAMES[name], justify="right")
    columns = [_rows(story, side) for side in sides.values()]
    for cells in zip(*columns, strict=True):
        table.add_row(cells[0][0], *(value for _, value in cells))
    return table


def _rows(story: Story, side: Side) -> list[tuple[str, str]]:
    counts = side.fates()
    longest = max((snapshot.waiting for snapshot in side.course.snapshots), default=0)
    return [
        ("callbacks created", f"{counts.created:,}"),
        ("delivered", f"{counts.delivered:,}"),
        ("dropped or expired", f"{counts.dropped + counts.expired:,}"),
        ("still waiting", f"{counts.waiting:,}"),
        ("attempts", f"{sum(len(delivery.attempts) for delivery in side.sent):,}"),
        ("longest queue at Nexmo", f"{longest:,}"),
        ("production waited up to", duration(side.longest_wait(story.test, of_test=False))),
        ("test application waited up to", duration(side.longest_wait(story.test, of_test=True))),
        ("events of production", _processed(side, story, "production")),
        ("events of the test application", _processed(side, story, "test")),
        ("ledger", "balances" if side.balances(story) else "does not balance"),
    ]


def _processed(side: Side, story: Story, whose: str) -> str:
    return f"{side.processed[whose]:,} of {side.created(story.test, of_test=whose == 'test'):,} processed"
