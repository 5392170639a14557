"""What a run says about itself while it goes on, on stderr: stdout is for the tables."""

import time
from typing import Final

import click

_BEGAN: Final = time.monotonic()


def say(text: str) -> None:
    """One line, with the minutes and seconds since the start of the run."""
    minutes, seconds = divmod(int(time.monotonic() - _BEGAN), 60)
    click.echo(f"{minutes:3d}:{seconds:02d}  {text}", err=True)
