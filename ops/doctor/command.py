"""``ackfirst doctor``: the command line."""

import asyncio
import json
import os
from typing import Final

import click

from ackfirst.ops.doctor.checks import Say, look_over
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.ops.terminal import operator_settings
from ackfirst.shared.findings import Finding, Level
from ackfirst.shared.settings.accounts_file import load_accounts

#: Exit codes for the worst finding.
EXIT_CODES: Final = {Level.WARNING: 1, Level.ERROR: 2}
_COLORS: Final = {Level.WARNING: "yellow", Level.ERROR: "red"}


@click.command()
@click.option("--no-self-test", is_flag=True, help="Send no callback through the public URL.")
@json_option
def command(*, no_self_test: bool, as_json: bool) -> None:
    """Look over the whole installation.

    Configuration, Redis, disk, clocks, ingest, the public URL, workers, lanes, the record, and what is set at Nexmo.
    Each finding says what it means and what helps; docs/operating.md has a section for its id. Exit code 0 when all is
    well, 1 with warnings, 2 with errors.
    """
    settings = operator_settings()
    accounts = load_accounts(settings)
    say: Say = (lambda _: None) if as_json else click.echo
    findings = asyncio.run(look_over(settings, accounts, say, environ=os.environ, with_self_test=not no_self_test))
    for finding in findings:
        _show(finding, as_json=as_json)
    if not findings:
        say("Nothing was found: all is well.")
    raise SystemExit(max((EXIT_CODES[finding.level] for finding in findings), default=0))


def _show(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(finding.as_dict()))
        return
    level = click.style(f"{finding.level.value:<7}", fg=_COLORS[finding.level], bold=True)
    click.echo(f"{level} {finding.id}: {finding.what}")
    click.echo(f"        → {finding.fix}")
