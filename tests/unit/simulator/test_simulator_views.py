"""The live view, the lines and the charts of a run."""

import io
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ackfirst.simulator.chart import Span, duration
from ackfirst.simulator.course import Blocker, Course, Snapshot, draw_courses
from ackfirst.simulator.screen import View, line, sparkline

BLOCKER = Blocker(
    account="k7m2p9qa", application="c4a1e7d0", age=204.0, attempts=7, answered="500", next_in=80.0, behind=106
)
STALLED = Snapshot(
    at=900.0,
    planned=250,
    created=150,
    waiting=107,
    attempts=57,
    answers={"200": 50, "500": 7},
    blocker=BLOCKER,
)


def shown(snapshot: Snapshot, width: int) -> str:
    view = View("Nexmo → http://127.0.0.1:8080")
    view.show(snapshot)
    file = io.StringIO()
    Console(file=file, width=width).print(view.render())
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_view_says_who_blocks_the_queue(width: int) -> None:
    text = " ".join(shown(STALLED, width).replace("│", " ").split())
    assert "application c4a1e7d0: attempt 7 got 500, the next in 80 s; 106 wait for it" in text
    assert "oldest 3.4 min" in text
    assert "200 ×50, 500 ×7" in text  # noqa: RUF001 - a sign of times
    assert max(map(len, shown(STALLED, width).splitlines())) <= width


def test_a_callback_that_was_not_answered_yet_blocks_nobody() -> None:
    fresh = Blocker(account="a", application=None, age=0.01, attempts=1, answered="", next_in=0.0, behind=0)
    assert "nothing" in shown(Snapshot(waiting=1, blocker=fresh), 80)
    assert "behind" not in line(Snapshot(waiting=1, blocker=fresh))


def test_the_plain_view_is_one_line() -> None:
    assert line(STALLED).split("  ")[-6:] == [
        "15 min",
        "created 150",
        "waiting 107",
        "oldest 3.4 min",
        "attempts 57 (200 ×50, 500 ×7)",  # noqa: RUF001 - a sign of times
        "behind application c4a1e7d0: attempt 7 got 500, the next in 80 s; 106 wait for it",
    ]


def test_the_small_curve_grows_with_the_queue() -> None:
    assert sparkline((0, 35, 70)) == "▁▅█"
    assert sparkline((0, 0)) == "▁▁"
    assert sparkline(()) == ""
    assert sparkline((1,)) != "█"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.004, "0 s"), (0.78, "0.78 s"), (90, "90 s"), (630, "10.5 min"), (86_400, "24 h"), (3 * 86_400, "3 d")],
)
def test_times_are_said_as_a_person_says_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.integers(0, 5000), st.integers(4, 100))
def test_a_course_is_bounded_and_keeps_its_beginning_and_its_spread(count: int, most: int) -> None:
    course = Course(most)
    for at in range(count):
        course.add(Snapshot(at=float(at)))
    moments = [moment.at for moment in course.snapshots]
    assert len(moments) < most
    assert moments == sorted(moments)
    assert len({later - earlier for earlier, later in pairwise(moments)}) <= 1
    assert not count or moments[0] == 0


@given(st.lists(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10_000)), max_size=20), min_size=1, max_size=2))
def test_any_courses_make_a_picture(courses: list[list[tuple[float, int]]]) -> None:
    made = {
        f"<{number}>": [Snapshot(at=at, waiting=waiting) for at, waiting in sorted(course)]
        for number, course in enumerate(courses)
    }
    picture = draw_courses("a & b", made, [Span("broken", 0.0, 10.0)])
    assert ET.fromstring(picture).tag.endswith("svg")
    assert picture.count("<polyline") == 2 * len(courses)
    assert "nan" not in picture
