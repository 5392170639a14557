"""A chart holds what it is given, in places where it can be read."""

import itertools
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.simulator.chart import Chart, Line, Panel, Point, Span, apart, draw, ticks

_SVG = "{http://www.w3.org/2000/svg}"


def chart(*lines: list[float], names: tuple[str, ...] = ("1 process", "2 processes")) -> Chart:
    drawn = [
        Line(f"line <{n}>", [Point(at + 0.5, value, (value * 0.9, value * 1.2)) for at, value in enumerate(line)])
        for n, line in enumerate(lines)
    ]
    marks = [(at + 0.5, name) for at, name in enumerate(names)]
    return Chart("Growth & more", [Panel("events a second", drawn)], width=len(names), marks=marks)


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (7060, [0, 2000, 4000, 6000, 8000]),
        (5000, [0, 1000, 2000, 3000, 4000, 5000]),
        (0.9, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (12, [0, 2.5, 5, 7.5, 10, 12.5]),
    ],
)
def test_the_axis_has_round_numbers_up_to_the_highest_value(top: float, expected: list[float]) -> None:
    assert ticks(top) == pytest.approx(expected)


@given(st.floats(1e-6, 1e12))
def test_the_axis_has_few_marks_and_holds_every_value(top: float) -> None:
    marks = ticks(top)
    assert 2 <= len(marks) <= 7
    assert marks[0] == 0
    assert marks[-1] >= top * (1 - 1e-6)


@given(st.lists(st.floats(0, 400), max_size=6))
def test_names_of_lines_never_overlap_and_keep_their_order(places: list[float]) -> None:
    moved = apart(places, 18.0)
    pairs = sorted(zip(places, moved, strict=True))
    assert all(after <= before for before, after in pairs)
    ordered = sorted(moved)
    assert all(b - a >= 18.0 - 1e-9 for a, b in itertools.pairwise(ordered))


def test_a_chart_is_well_formed_and_says_every_value_and_name() -> None:
    root = ET.fromstring(draw(chart([4_000, 6_860], [900, 1_200])))
    texts = [node.text for node in root.iter(f"{_SVG}text")]
    assert {"Growth & more", "events a second", "1 process", "2 processes", "line <0>", "line <1>"} <= set(texts)
    assert {"4,000", "6,860", "900", "1,200"} <= set(texts)
    assert len(list(root.iter(f"{_SVG}circle"))) == 4


def test_a_higher_value_stands_higher_and_its_bar_spans_from_least_to_most() -> None:
    root = ET.fromstring(draw(chart([1_000, 2_000])))
    low, high = (float(node.attrib["cy"]) for node in root.iter(f"{_SVG}circle"))
    assert high < low
    assert [node.attrib["d"].count("V") for node in root.iter(f"{_SVG}path")] == [1, 1]


def test_one_point_is_a_chart_too() -> None:
    assert "<circle" in draw(chart([5.0], names=("only",)))


def test_panels_stand_above_each_other_over_one_axis_and_spans_are_named_once() -> None:
    course = [Line("waiting", [Point(0, 0), Point(50, 7)])]
    panels = [Panel("waiting", course), Panel("age, seconds", course)]
    picture = draw(Chart("A run", panels, 50.0, [(0, "0"), (50, "50")], "seconds", [Span("outage", 10, 90)]))
    root = ET.fromstring(picture)
    assert [node.text for node in root.iter(f"{_SVG}text")].count("outage") == 1
    shaded = [node for node in root.iter(f"{_SVG}rect") if node.attrib.get("class") == "span"]
    assert len({node.attrib["y"] for node in shaded}) == 2
    right = max(float(node.attrib["x2"]) for node in root.iter(f"{_SVG}line"))
    assert all(float(node.attrib["x"]) + float(node.attrib["width"]) <= right + 0.1 for node in shaded)
