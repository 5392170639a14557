"""Engines are found dead by silence, and by nothing else that a clock or an outage does."""

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.workers.recovery.liveness import GAP_SECONDS, SILENCE_SECONDS, LivenessTracker

STEP = 0.5


def _looks(watch: LivenessTracker, beat: str, *, since: float, until: float) -> list[str]:
    now, causes = since, []
    while now <= until:
        causes += [death.cause for death in watch.observe({"e": beat}, now)]
        now += STEP
    return causes


def test_silence_is_death() -> None:
    watch = LivenessTracker()
    assert not _looks(watch, "7", since=100, until=100 + SILENCE_SECONDS - STEP)
    [death] = watch.observe({"e": "7"}, 100 + SILENCE_SECONDS)
    assert (death.engine, death.heartbeat, death.cause) == ("e", "7", "no heartbeat for 7 seconds")


def test_an_obituary_is_believed_at_once() -> None:
    [death] = LivenessTracker().observe({"e": "signal SIGKILL"}, 0)
    assert death.cause == "signal SIGKILL"


def test_after_an_outage_everybody_has_time_to_come_back() -> None:
    watch = LivenessTracker()
    _looks(watch, "7", since=0, until=SILENCE_SECONDS - STEP)
    back = SILENCE_SECONDS + GAP_SECONDS + 60
    assert not _looks(watch, "7", since=back, until=back + SILENCE_SECONDS - STEP)


@given(st.lists(st.floats(0.01, GAP_SECONDS - 0.01), max_size=60))
def test_who_beats_within_the_time_is_never_dead(pauses: list[float]) -> None:
    watch, now = LivenessTracker(), 0.0
    for beat, pause in enumerate(pauses):
        now += pause
        assert not watch.observe({"e": str(beat // 2)}, now)  # every second look sees nothing new
