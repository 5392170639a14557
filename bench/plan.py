"""Say how much a run measures, and print its progress to stderr: stdout is for the tables."""

import time
from dataclasses import dataclass
from typing import Final

import click

from bench.peers.install import Peers

_STARTED: Final = time.monotonic()


@dataclass(frozen=True, slots=True)
class Plan:
    """Size of all measurements of a run."""

    rounds: int
    """Times that each pair is measured, in turns."""
    count: int
    """Callbacks or events a round; slow peers get fewer."""
    peers: Peers | None
    """Other people's queues; None if they are left out."""


def say(text: str) -> None:
    """Print one line, with the minutes and seconds since the start of the run."""
    minutes, seconds = divmod(int(time.monotonic() - _STARTED), 60)
    click.echo(f"{minutes:3d}:{seconds:02d}  {text}", err=True)
