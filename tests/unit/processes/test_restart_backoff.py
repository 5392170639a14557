"""How long a supervisor pauses before it starts a child again."""

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.processes.child import Backoff

SECONDS = st.floats(0, 1000)


def test_by_default_half_a_second_doubles_up_to_ten() -> None:
    pauses = [0.0]
    for _ in range(7):
        pauses.append(Backoff().pause(pauses[-1], alive=0))

    assert pauses[1:] == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_child_that_lived_ten_seconds_starts_over_with_the_first_pause() -> None:
    assert Backoff().pause(8, alive=9.9) == 10
    assert Backoff().pause(8, alive=10.0) == 0.5


@given(lives=st.lists(SECONDS))
def test_no_history_leads_outside_the_bounds(lives: list[float]) -> None:
    pause = 0.0
    for alive in lives:
        pause = Backoff().pause(pause, alive=alive)
        assert 0.5 <= pause <= 10
