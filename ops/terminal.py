"""Load settings for the operator's commands, finding the queue of ``ackfirst dev``, and print text safely."""

import os

import click

from ackfirst.shared import masking
from ackfirst.shared.embedded import with_private_server
from ackfirst.shared.settings import Settings, load_settings

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


class CommandGroup(click.Group):
    """A group that lists its commands in the order of their definition."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the names of the commands."""
        return list(self.commands)


def operator_settings() -> Settings:
    """Load the settings of a command that works on the queue; say on stderr if it is that of ``ackfirst dev``."""

    def say(url: str) -> None:
        click.echo(f"ackfirst: no ACKFIRST_REDIS_URL; using the queue of ackfirst dev, {masking.url(url)}", err=True)

    return with_private_server(load_settings(os.environ), os.environ, say)


def printable(text: str) -> str:
    """Escape control characters and lone surrogates: text from a callback must not steer a terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
