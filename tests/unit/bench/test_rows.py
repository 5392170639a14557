"""Medians, ratios, percentiles and limits of a row."""

import pytest

from bench.load import Run
from bench.rows import at, number, ratio, row


def test_a_row_has_the_middle_the_bounds_and_how_often_it_was_measured() -> None:
    assert row("rate", [30.0, 12_345.0, 20.0]) == {
        "what": "rate",
        "median": 30.0,
        "min": 20.0,
        "max": 12_300.0,
        "rounds": 3,
        "limit": "",
        "holds": "",
    }


@pytest.mark.parametrize(
    ("limits", "limit", "holds"),
    [
        ({"at_least": 2.0}, "≥ 2", "yes"),
        ({"at_least": 2.1}, "≥ 2.1", "no"),
        ({"at_most": 2.0}, "≤ 2", "yes"),
        ({"at_most": 0}, "≤ 0", "no"),
        ({"at_least": 10_000}, "≥ 10,000", "no"),
    ],
)
def test_a_limit_holds_when_the_median_does(limits: dict[str, float], limit: str, holds: str) -> None:
    found = row("x", [0.0, 2.0, 9.0], **limits)
    assert (found["limit"], found["holds"]) == (limit, holds)


def test_a_ratio_is_taken_round_by_round() -> None:
    found = ratio("a / b", [10.0, 40.0, 9.0], [10.0, 20.0, 3.0], at_least=2)
    assert (found["median"], found["min"], found["max"], found["holds"]) == (2.0, 1.0, 3.0, "yes")


def test_a_ratio_of_rounds_that_do_not_belong_together_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio("a / b", [1.0, 2.0], [1.0])


def test_a_share_of_sorted_values() -> None:
    values = [float(value) for value in range(100)]
    assert (at(values, 0.5), at(values, 0.99), at(values, 1.0), at([7.0], 0.99)) == (50.0, 99.0, 99.0, 7.0)


def test_percentiles_of_a_run_are_milliseconds() -> None:
    run = Run(rate=1.0, statuses={}, latencies=[0.001, 0.002, 0.5], busy=0.1)  # type: ignore[arg-type]
    assert (run.percentile(0.5), run.percentile(0.99)) == (2.0, 500.0)


def test_numbers_are_written_as_they_are_read() -> None:
    assert [number(value) for value in (6860.0, 0.25, 99.5, 1_000_000, 0.0)] == [
        "6,860",
        "0.25",
        "99.5",
        "1,000,000",
        "0",
    ]
