"""The tables of growth and the charts that are drawn from them."""

from bench import growth
from bench.growth import Rates
from bench.rows import Row


def rates(ingest: float, engine: float) -> Rates:
    return Rates([ingest, ingest * 1.1], [engine, engine * 1.1], [0.2, 0.3])


def by_name(rows: list[Row]) -> dict[str, Row]:
    return {str(row["what"]): row for row in rows}


def test_more_processes_are_compared_with_one() -> None:
    rows = by_name(growth.process_rows({1: rates(100, 10), 2: rates(150, 20), 4: rates(300, 20)}))
    assert rows["ingest, 1 process, callbacks/s"]["rounds"] == 2
    assert rows["ingest, 4 processes / 1"]["median"] == 3
    assert rows["engine, 2 processes / 1"]["median"] == 2
    assert rows["load generator, share of a core"]["max"] == 0.3


def test_only_the_deepest_queue_is_held_against_a_limit_turn_by_turn() -> None:
    pairs = [(100_000, rates(100, 100), rates(50, 100)), (1_000_000, rates(100, 100), rates(95, 80))]
    rows = by_name(growth.waiting_rows(pairs))
    assert rows["ingest, 1,000 waiting, callbacks/s"]["rounds"] == 4
    assert rows["ingest, 100,000 waiting / 1,000"]["limit"] == ""
    assert rows["ingest, 1,000,000 waiting / 1,000"]["holds"] == "yes"
    assert rows["engine, 1,000,000 waiting / 1,000"]["holds"] == "no"


def test_a_chart_shows_what_the_table_says() -> None:
    rows = growth.body_rows({700: rates(100, 10), 7_000: rates(80, 8), 70_000: rates(20, 2)})
    chart = growth.chart("bodies", rows)
    assert chart is not None
    assert [name for _, name in chart.marks] == ["0.7 KB", "7 KB", "70 KB"]
    assert [point.bounds and point.bounds[0] for point in chart.panels[0].lines[0].points] == [100, 80, 20]


def test_a_depth_that_this_machine_cannot_hold_is_left_out() -> None:
    chart = growth.chart("waiting", growth.waiting_rows([(100_000, rates(1, 1), rates(1, 1))]))
    assert chart is not None
    assert [name for _, name in chart.marks] == ["1,000 waiting", "100,000 waiting"]


def test_nothing_measured_is_no_chart() -> None:
    assert growth.waiting_rows([]) == []
    assert growth.chart("waiting", []) is None
    assert growth.chart("memory", growth.body_rows({700: rates(1, 1)})) is None
