"""The ``ackfirst`` command. Each subcommand is a module that is imported only when it is called."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import IO, Any, Final, NamedTuple

import click

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.processes.descriptors import open_standard_descriptors
from ackfirst.shared.version import installed_version


class Entry(NamedTuple):
    """The module of a subcommand, and the line that ``ackfirst --help`` shows without importing it."""

    target: str
    """``module:attribute`` of a click command; the module within ``ackfirst``."""
    summary: str


COMMANDS: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        "dev": Entry("ops.dev:command", "Run everything in one terminal, with a private Valkey."),
        "demo": Entry("simulator.demo:command", "Send traffic through the whole system; count every event."),
        "ingest": Entry("ingest.command:command", "Answer Nexmo's callbacks and queue the events."),
        "worker": Entry("workers.command:command", "Run your handlers on the queued events."),
        "web": Entry("ops.web.command:command", "Show messages, lanes and what needs you in the browser."),
        "simulate": Entry("simulator.command:command", "Send signed callbacks, as Nexmo would."),
        "message": Entry("ops.record.message_command:command", "Show what happened to a message, step by step."),
        "events": Entry("ops.record.events_command:command", "Search the recorded events, and follow new ones."),
        "stats": Entry("ops.record.stats_command:command", "Show rates, delays, slow handlers and what waits."),
        "dead": Entry(
            "ops.record.dead_command:command", "List, replay and drop events whose handlers failed for good."
        ),
        "replay": Entry("ops.record.replay_command:command", "Run the handlers again for events that have ended."),
        "purge": Entry("ops.record.purge_command:command", "Delete old events from the record."),
        "redact": Entry("ops.record.redact_command:command", "Take a person's data out of everything that is kept."),
        "audit": Entry("ops.record.audit_command:command", "List who changed what, from the page or a command."),
        "reconcile": Entry("ops.record.reconcile_command:command", "Compare the record with Nexmo's own records."),
        "quarantine": Entry("ops.quarantine.command:command", "List and recheck callbacks that could not be verified."),
        "spool": Entry("ops.spool:command", "List the events that wait on disk for Redis."),
        "lanes": Entry("ops.lanes:command", "List the lanes; pause and resume one."),
        "rejects": Entry("ops.rejects:command", "List and requeue entries that no worker could run."),
        "repair": Entry("workers.recovery.repair:command", "Put jobs that are in no list back into their lanes."),
        "init-stack": Entry("ops.init_stack.command:command", "Create passwords, distribute files (docker compose)."),
        "doctor": Entry("ops.doctor.command:command", "Look over the whole installation, also at Nexmo."),
        "webhooks": Entry("ops.webhooks.command:command", "Show and set the URLs that Nexmo sends callbacks to."),
        "apps": Entry("ops.apps.command:command", "List applications; tell when one can be deleted, and delete it."),
        "policy": Entry("ops.policy:command", "Print which callback gets which answer, and why."),
    }
)


class _Refusal(click.ClickException):
    """A configuration that cannot work: one sentence, no traceback, exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"ackfirst: {self.format_message()}", file=file, err=file is None)


class LazyGroup(click.Group):
    """A group whose commands are named by dotted strings."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the commands in the order of the table: the first is where a newcomer begins."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the one command that is called."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command: click.Command = getattr(import_module(f"ackfirst.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """List the commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def main(self, *args: Any, **options: Any) -> Any:
        """Run as a program."""
        open_standard_descriptors()
        return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. An error of configuration ends in one sentence instead of a traceback."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise _Refusal(str(error)) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(installed_version(), prog_name="ackfirst", message="%(prog)s %(version)s")
def main() -> None:
    """Answer Nexmo (Vonage) callbacks at once, and process them later.

    Start with: ackfirst dev. Settings are environment variables, ACKFIRST_* (docs/settings.md); accounts are
    described in ackfirst.toml.
    """


if __name__ == "__main__":
    main(prog_name="ackfirst")
