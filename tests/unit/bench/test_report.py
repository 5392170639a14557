"""What a run writes to the page, and what it leaves there."""

from pathlib import Path

from bench import growth, report
from bench.growth import Rates
from bench.rows import Row, row
from bench.sections import SECTIONS


def rows(value: float, limit: float = 1.0) -> list[Row]:
    return [row("a rate", [value], at_least=limit)]


def test_every_section_has_a_title_of_its_own() -> None:
    assert len({section.title for section in SECTIONS.values()}) == len(SECTIONS)


def test_a_page_has_every_section_with_its_own_conditions(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    report.write(page, {"worker": rows(2.5), "ingest": rows(0.5)}, count=123)
    text = page.read_text()
    assert text.index("## Ingest, one process") < text.index("## Worker engine")
    assert "| a rate | 2.5 | 2.5 | 2.5 | 1 | ≥ 1 | yes |" in text
    assert text.count("`--count 123`") == 2
    assert "**1 of 2 limits hold.**" in text


def test_a_section_that_was_not_measured_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    report.write(page, {"ingest": rows(1.5), "worker": rows(2.5)}, count=1)
    before = page.read_text()
    report.write(page, {"worker": rows(3.5)}, count=1)
    assert page.read_text() == before.replace("2.5", "3.5")


def test_a_section_that_could_not_be_measured_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    report.write(page, {"tasks": rows(1.5)}, count=1)
    before = page.read_text()
    report.write(page, {"tasks": []}, count=1)
    assert page.read_text() == before


def test_a_chart_lies_beside_the_page_and_is_shown_there_once(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    measured = growth.body_rows({size: Rates([1.0], [2.0], [0.1]) for size in (700, 7_000, 70_000)})
    for _ in range(2):
        report.write(page, {"bodies": measured}, count=1)
    assert page.read_text().count("![Larger bodies](performance/bodies.svg)") == 1
    assert (tmp_path / "performance" / "bodies.svg").read_text().startswith("<svg ")


def test_the_summary_names_the_limits_that_do_not_hold() -> None:
    measured = {"ingest": rows(2.0), "worker": rows(0.5), "tasks": []}
    assert report.summary(measured) == "1 of 2 limits hold; not: a rate"
    assert report.summary({"ingest": rows(2.0)}) == "1 of 1 limits hold"
