"""What a replay was asked for is read back as it was written, and never as something wider."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.replay.selection import Selection
from ackfirst.shared.store import EventFilter

TEXT = st.none() | st.text(max_size=20).filter(lambda text: text.isprintable())
TIME = st.none() | st.floats(0, 4e9)
FILTERS = st.builds(
    EventFilter, since=TIME, until=TIME, family=TEXT, lane=TEXT, state=TEXT, handler=TEXT, died_since=TIME
)


@given(chosen=FILTERS)
def test_a_filter_is_read_as_it_was_written(chosen: EventFilter) -> None:
    assert Selection.decode(Selection(filter=chosen).encode()) == Selection(filter=chosen)


@given(ids=st.lists(st.text(min_size=1, max_size=40).filter(str.isascii), min_size=1, max_size=20))
def test_named_events_are_read_as_they_were_written(ids: list[str]) -> None:
    assert Selection.decode(Selection(events=tuple(ids)).encode()).events == tuple(ids)


@pytest.mark.parametrize("text", ["{}", '{"events": []}', '{"filter": {"colour": "blue"}}', "[]", "", "x"])
def test_what_is_not_understood_is_refused_and_not_taken_for_everything(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a selection|unexpected|zero-length|Input is"):
        Selection.decode(text)


def test_the_end_of_the_range_is_fixed_and_never_moved_forward() -> None:
    assert Selection().until(5.0).filter.until == 5.0
    assert Selection(filter=EventFilter(until=3.0)).until(5.0).filter.until == 3.0
    assert Selection(events=("m-1",)).until(5.0) == Selection(events=("m-1",))
