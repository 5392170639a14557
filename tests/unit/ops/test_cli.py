"""The command line itself: its help, what it imports, how it refuses."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from ackfirst.ops import cli
from ackfirst.shared.errors import ConfigurationError
from tests.support.processes import ROOT


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose configuration cannot work."""

    @click.command()
    def command() -> None:
        raise ConfigurationError("ACKFIRST_X is 'y': use z")

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: command)


def test_help_lists_every_command_within_80_columns() -> None:
    result = CliRunner().invoke(cli.main, ["--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    for name, entry in cli.COMMANDS.items():
        assert f"  {name} " in result.output
        assert entry.summary in result.output
    assert max(len(line) for line in result.output.splitlines()) <= 80


def test_a_configuration_that_cannot_work_is_one_sentence_and_exit_2(broken: None) -> None:
    result = CliRunner().invoke(cli.main, ["any"])
    assert result.exit_code == 2
    assert result.stderr == "ackfirst: ACKFIRST_X is 'y': use z\n"
    assert result.stdout == ""


def test_an_unknown_command_is_wrong_usage() -> None:
    result = CliRunner().invoke(cli.main, ["polcy"])
    assert result.exit_code == 2
    assert "No such command 'polcy'" in result.stderr


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(cli.main, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("ackfirst ")


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_of_the_table_exists(name: str) -> None:
    command = cli.main.get_command(click.Context(cli.main), name)
    assert isinstance(command, click.Command)


def test_help_and_policy_import_no_room_that_they_do_not_need() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from ackfirst.ops import cli;"
        "CliRunner().invoke(cli.main, ['--help']); CliRunner().invoke(cli.main, ['policy']);"
        "rooms = {'ackfirst.ingest', 'ackfirst.workers.engine', 'ackfirst.simulator'};"
        "print(sorted(set(sys.modules) & {'aiohttp', 'rq', 'redis', 'pydantic', *rooms}))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.strip() == "[]"
