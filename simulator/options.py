"""A command whose help groups its options, and which may hand over to another command that is named like a target."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

import click

#: Heading of options that belong to none.
_OTHER: Final = "Other"


class Option(click.Option):
    """An option that stands under a heading."""

    def __init__(self, *args: Any, heading: str = _OTHER, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading = heading


def under(heading: str) -> Callable[..., Callable[[Any], Any]]:
    """``click.option`` for options of that heading."""

    def option(*names: str, **settings: Any) -> Callable[[Any], Any]:
        return click.option(*names, cls=Option, heading=heading, **settings)

    return option


class Command(click.Command):
    """Its first argument may be a word instead of a target: then another command takes over."""

    words: Mapping[str, str] = {}
    """Word → ``module:attribute`` of a click command, imported when it is called."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Hand over to the command that is called by a word."""
        target = self.words.get(args[0]) if args else None
        if target is None:
            return super().make_context(info_name, args, parent, **extra)
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line for the target, one for each word."""
        super().format_usage(ctx, formatter)
        for word in self.words:
            formatter.write_text(f"       {ctx.command_path} {word} [OPTIONS]")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Under their headings, in the order in which those occur first."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                headings.setdefault(getattr(parameter, "heading", _OTHER), []).append(record)
        for heading, records in headings.items():
            with formatter.section(heading):
                formatter.write_dl(records)
