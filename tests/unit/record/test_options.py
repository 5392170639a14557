"""The options that choose events mean the same in every command, and never everything by accident."""

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ackfirst.ops.record.options import filtered, fixed_range, is_unscoped, number
from ackfirst.shared.record import field_names
from ackfirst.shared.store.rows import EventFilter


@click.command()
@filtered
def show(*, chosen: EventFilter) -> None:
    click.echo(json.dumps({name: getattr(chosen, name) for name in field_names(EventFilter)}))


def run(*args: str) -> Result:
    return CliRunner().invoke(show, args)


def chosen(*args: str) -> dict[str, Any]:
    result = run(*args)
    assert result.exit_code == 0, result.output
    return {name: value for name, value in json.loads(result.stdout).items() if value is not None}


def test_no_option_chooses_every_event() -> None:
    assert chosen() == {}
    assert is_unscoped(EventFilter())


def test_each_option_is_one_condition() -> None:
    assert chosen("--family", "message-status", "--status", "Delivered", "--state", "dead") == {
        "family": "message-status",
        "status": "delivered",
        "state": "dead",
    }
    assert chosen("--account", "k7m2p9qa", "--application", "a-1", "--lane", "k7m2p9qa.a-1") == {
        "account": "k7m2p9qa",
        "application_id": "a-1",
        "lane": "k7m2p9qa.a-1",
    }
    assert chosen("--since", "2026-03-04T09:15Z", "--until", "2026-03-04T10:15+00:00") == {
        "since": 1772615700.0,
        "until": 1772619300.0,
    }


@pytest.mark.parametrize("text", ["+44 7700 900417", "447700900417", "0044-7700-900417", "(44) 7700.900417"])
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    assert chosen("--to", text) == {"recipient": "447700900417"}
    assert chosen("--from-number", text) == {"sender": "447700900417"}


@pytest.mark.parametrize("text", ["HARBOUR", "Moor & Co", "user-17", "٤٤٧"])
def test_a_sender_that_is_no_number_stays_as_it_is(text: str) -> None:
    assert number(text) == text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--since", "1h", "--until", "2h"], "--since must be before --until"),
        (["--since", "yesterday"], "2h or 7d"),
        (["--family", "sms"], "inbound-sms"),
        (["--state", "done"], "processed"),
        (["--lane", "a b"], "A-Z"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_helps(args: list[str], said: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert said in result.output


def test_a_range_that_is_to_be_acted_on_needs_a_beginning() -> None:
    with pytest.raises(click.UsageError, match="--since"):
        fixed_range(EventFilter(), now=1000.0)
    with pytest.raises(click.UsageError, match="--since"):
        fixed_range(EventFilter(state="dead", until=900.0), now=1000.0)


def test_a_fixed_range_means_the_same_events_later() -> None:
    fixed = fixed_range(EventFilter(since=500.0, state="dead"), now=1000.0)
    assert (fixed.since, fixed.until, fixed.state) == (500.0, 1000.0, "dead")
    assert fixed_range(fixed, now=2000.0) == fixed
    assert fixed_range(EventFilter(since=500.0, until=5000.0), now=1000.0).until == 1000.0
