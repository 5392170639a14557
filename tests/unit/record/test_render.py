"""Times, durations, masked numbers, and tables that fit the terminal."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ackfirst.ops.record.chart import sparkline
from ackfirst.ops.record.render import Column, Times, duration, party, show_table

COLUMNS = (Column("event"), Column("state"), Column("to", rank=1), Column("lane", rank=2), Column("error", folds=True))
ROW = ("s-" + "0" * 32, "processed", "447•••••417", "k7m2p9qa.c4a1e7d0-52b3-4f6f-a9d8-3e0b7c612f45", "x" * 60)


def printed(width: int, *rows: tuple[str, ...]) -> list[str]:
    out = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    show_table(out, COLUMNS, rows)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"),
        (0.012, "12 ms"),
        (1.44, "1.4 s"),
        (59, "59 s"),
        (200, "3 m 20 s"),
        (7_500, "2 h 5 m"),
        (187_200, "2 d 4 h"),
        (-3, "-3 s"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_times_are_utc_unless_local_ones_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Times().second(1_772_615_730.12) == "2026-03-04 09:15:30"
    assert Times().iso(1_772_615_730.12) == "2026-03-04T09:15:30.120+00:00"
    assert Times().clock(1_772_615_730.12) == "09:15:30.120"
    assert (Times().second(None), Times().iso(None)) == ("-", None)
    assert Times(local=True).iso(1_772_615_730.12) is not None


def test_numbers_are_masked_and_redacted_ones_are_none_any_more() -> None:
    assert party("447700900417", personal=False) == "447•••••417"
    assert party("447700900417", personal=True) == "447700900417"
    assert (
        party("redacted:0123456789abcdef0123456789abcdef", personal=False)
        == "redacted:0123456789abcdef0123456789abcdef"
    )
    assert party(None, personal=False) is None
    assert "\x1b" not in (party("\x1b[31mHARBOUR", personal=True) or "")


def test_a_narrow_terminal_loses_the_columns_of_the_highest_rank_first() -> None:
    assert "lane" in printed(160, ROW)[0]
    at_100 = printed(100, ROW)
    assert "lane" not in at_100[0]
    assert " to" in at_100[0]
    at_80 = printed(80, ROW)
    assert " to" not in at_80[0]
    assert all(len(line) <= 80 for line in at_80)


def test_ids_are_never_cut() -> None:
    assert any(ROW[0] in line for line in printed(40, ROW))


def test_text_from_a_callback_cannot_steer_the_terminal() -> None:
    lines = printed(120, ("\x1b[2J", "[red]bold[/red]", "a\nb", "", "ok"))
    assert "\x1b" not in "".join(lines)
    assert "[red]bold[/red]" in "".join(lines)


def test_a_chart_shows_every_value_above_nothing() -> None:
    assert sparkline([0, 1, 1000], 10) == " ▁█"
    assert sparkline([], 10) == ""
    assert sparkline([0, 0], 10) == "  "


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=300), st.integers(1, 80))
def test_a_chart_is_as_wide_as_asked_and_hides_no_value(values: list[int], columns: int) -> None:
    chart = sparkline(values, columns)
    assert len(chart) == min(columns, len(values))
    assert (chart.strip() != "") == any(values)
