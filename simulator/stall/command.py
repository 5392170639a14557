"""``ackfirst simulate stall-demo``."""

import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

import click
from rich.console import Console, Group
from rich.live import Live

from ackfirst.shared.errors import ConfigurationError
from ackfirst.simulator.demo_run import ROOT
from ackfirst.simulator.plot import Span, draw
from ackfirst.simulator.screen import View, line
from ackfirst.simulator.sender import Unreachable
from ackfirst.simulator.snapshot import Snapshot
from ackfirst.simulator.stack import StackFailed
from ackfirst.simulator.stall import text
from ackfirst.simulator.stall.play import ACKFIRST, PLAIN, Look, Side, note_work, play, wait_until_worked_on
from ackfirst.simulator.stall.stage import Stage
from ackfirst.simulator.stall.story import SPEED, Story, story

_INTERRUPTED = 130
TITLE = "One account's callbacks while its test application is broken"


@click.command()
@click.option("--minutes", type=click.FloatRange(5, 600), default=25.0, show_default=True, help="Of Nexmo's time.")
@click.option("--seed", type=int, help="The same seed sends the same messages again. [default: another each time]")
@click.option(
    "--plot",
    type=click.File("w", encoding="utf-8", lazy=False),
    default="stall-demo.svg",
    show_default=True,
    help="Where the picture goes.",
)
@click.option("--plain", is_flag=True, help="A line now and then instead of a live view.")
def command(minutes: float, seed: int | None, plot: TextIO, *, plain: bool) -> None:
    """Show what a broken test application does to production, with and without ackfirst.

    The same signed callbacks go to an application that works before it answers, and to ackfirst with the same work as
    a handler. Nexmo keeps one queue for the account (the strictest reading of its documentation); a minute of its time
    passes in a second. Exits with 0 when both ledgers balance.
    """
    signal.signal(signal.SIGTERM, _like_ctrl_c)
    if not (ROOT / "examples" / "plain_app.py").is_file():
        raise ConfigurationError("stall-demo needs examples/plain_app.py: run it from a checkout of the sources")
    told = story(minutes, secrets.randbelow(2**32) if seed is None else seed)
    console, sides = Console(highlight=False), {PLAIN: Side(), ACKFIRST: Side()}
    folder = Path(tempfile.mkdtemp(prefix="ackfirst-stall-")).resolve()
    try:
        code = _tell(told, Stage(folder, told), sides, console, plain=plain)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if code != 1:
        plot.write(picture(told, sides))
        text.show(console, told, sides)
        console.print(f"\nThe picture is in {plot.name}.", soft_wrap=True)
    sys.exit(code or int(not all(text.balances(told, side) for side in sides.values())))


def picture(told: Story, sides: dict[str, Side]) -> str:
    """Both courses, and when the test application was broken."""
    broken = Span("test application broken", told.breaks * SPEED, told.mended * SPEED)
    return draw(TITLE, {text.NAMES[name]: side.course.moments for name, side in sides.items()}, [broken])


def _tell(told: Story, stage: Stage, sides: dict[str, Side], console: Console, *, plain: bool) -> int:
    """The exit code so far: 0, 1 when it could not be told, 130 after Ctrl-C."""
    try:
        with ExitStack() as running:
            with console.status("starting the plain application, and ackfirst with its own Valkey"):
                url = running.enter_context(stage.plain_app())
                stack = running.enter_context(stage.ackfirst())
            with _view(plain=plain) as look:
                play(told, stage, {PLAIN: url, ACKFIRST: stack.url}, sides, look)
            with console.status("waiting for the worker"):
                wait_until_worked_on(stack, stage, sides)
    except (StackFailed, Unreachable) as error:
        console.print(f"[bold red]The demo could not run:[/] {error}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        note_work(stage, sides)
        return _INTERRUPTED
    return 0


@contextmanager
def _view(*, plain: bool) -> Iterator[Look]:
    console = Console(stderr=True)
    if plain or not console.is_terminal:
        yield _lines() if plain else lambda _name, _snapshot: None
        return
    views = {name: View(text.NAMES[name]) for name in (PLAIN, ACKFIRST)}
    with Live(
        get_renderable=lambda: Group(*(view.render() for view in views.values())),
        console=console,
        refresh_per_second=5,
        transient=True,
    ):
        yield lambda name, snapshot: views[name].show(snapshot)


def _lines() -> Callable[[str, Snapshot], None]:
    """Every minute of the provider's a line for each side."""
    said: dict[str, float] = {}

    def show(name: str, snapshot: Snapshot) -> None:
        if snapshot.at - said.get(name, -SPEED) >= SPEED:
            said[name] = snapshot.at
            click.echo(f"{name:<9} {line(snapshot)}", err=True)

    return show


def _like_ctrl_c(_signum: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
