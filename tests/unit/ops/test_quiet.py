"""When an application counts as quiet: every condition must be met, and what is not known is not met."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.ops.apps.quiet import AtNexmo, Condition, Evidence, State, conditions, is_quiet, span

NOW = 1_800_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
ELSEWHERE = AtNexmo(exists=True, urls=("https://elsewhere.example.com/in",), urls_are_ours=False)
OURS = AtNexmo(exists=True, urls=("https://hooks.example.com/in",), urls_are_ours=True)
QUIET = Evidence(last_callback=NOW - 25 * HOUR, watched_since=NOW - 30 * DAY, nexmo=ELSEWHERE)


def judged(evidence: Evidence, *, period: float = DAY) -> dict[str, Condition]:
    return {one.name: one for one in conditions(evidence, period=period, now=NOW)}


def test_an_application_that_was_silent_for_a_day_is_quiet() -> None:
    assert is_quiet([*judged(QUIET).values()])
    assert not is_quiet([*judged(QUIET, period=72 * HOUR).values()])


@pytest.mark.parametrize(
    ("changed", "name", "state"),
    [
        ({"last_callback": NOW - 3 * HOUR}, "callbacks", State.NOT_MET),
        ({"last_unconfirmed": NOW - 3 * HOUR}, "unconfirmed", State.NOT_MET),
        ({"watched_since": NOW - 23 * HOUR}, "watched", State.NOT_MET),
        ({"watched_since": None}, "watched", State.UNKNOWN),
        ({"is_ingest_up": False}, "watched", State.NOT_MET),
        ({"spooled": 1}, "spool", State.NOT_MET),
        ({"spooled": "the spool cannot be read"}, "spool", State.UNKNOWN),
        ({"waiting": 1}, "waiting", State.NOT_MET),
        ({"waiting": "too many events"}, "waiting", State.UNKNOWN),
        ({"retrying": 1}, "retrying", State.NOT_MET),
        ({"dead": 1}, "dead", State.NOT_MET),
        ({"quarantined": 1, "quarantined_at": NOW - 30 * HOUR}, "quarantine", State.NOT_MET),
        ({"nexmo": replace(ELSEWHERE, numbers=("447700900001",))}, "numbers", State.NOT_MET),
    ],
)
def test_one_condition_that_is_not_met_is_enough(changed: dict[str, Any], name: str, state: State) -> None:
    found = judged(replace(QUIET, **changed))
    assert [(one.name, one.state) for one in found.values() if one.state is not State.MET] == [(name, state)]


def test_without_nexmo_it_is_not_known_whether_it_is_safe() -> None:
    found = judged(replace(QUIET, nexmo="api.nexmo.com answered 401"))
    assert (found["numbers"].state, found["urls"].state) == (State.UNKNOWN, State.UNKNOWN)
    assert "answered 401" in found["urls"].text


def test_an_id_that_nobody_knows_is_not_safe_to_delete() -> None:
    gone = replace(QUIET, nexmo=AtNexmo(exists=False))
    assert judged(gone)["urls"].state is State.MET
    found = judged(replace(gone, last_callback=None))["urls"]
    assert (found.state, "check the id" in found.text) == (State.UNKNOWN, True)
    unasked = replace(QUIET, nexmo="the account secret is not known")
    assert judged(unasked)["urls"].text == "the account secret is not known"
    unnamed = judged(replace(unasked, last_callback=None))["urls"].text
    assert unnamed == "the account secret is not known; no callback has ever named it: check the id"


def test_one_of_a_thing_is_not_written_as_many() -> None:
    found = judged(replace(QUIET, waiting=1, retrying=1_200, dead=1))
    texts = [found[name].text for name in ("waiting", "retrying", "dead", "quarantine")]
    expected = ["1 event waiting or running", "1,200 events waiting for a retry", "1 dead letter"]
    assert texts == [*expected, "no callbacks in quarantine"]


def test_urls_that_are_ours_do_no_harm_while_nothing_is_sent() -> None:
    assert judged(replace(QUIET, nexmo=OURS))["urls"].text.endswith("nothing was sent for 25 h 0 min")
    assert judged(replace(QUIET, nexmo=OURS, last_callback=None))["urls"].state is State.MET
    assert judged(replace(QUIET, nexmo=OURS, last_callback=NOW - HOUR))["urls"].state is State.NOT_MET
    unknown = replace(OURS, urls_are_ours=None)
    assert "set ACKFIRST_PUBLIC_URL" in judged(replace(QUIET, nexmo=unknown, last_callback=NOW - HOUR))["urls"].text


@pytest.mark.parametrize("nexmo", [AtNexmo(exists=False), AtNexmo(exists=True)])
def test_an_application_without_webhooks_or_that_is_gone_receives_nothing(nexmo: AtNexmo) -> None:
    assert judged(replace(QUIET, nexmo=nexmo, last_callback=NOW - HOUR))["urls"].state is State.MET


def test_each_condition_says_until_when_to_wait() -> None:
    found = judged(replace(QUIET, last_callback=NOW - 3 * HOUR))["callbacks"]
    assert found.text == (
        "the last verified callback came at 2027-01-15 05:00:00Z, 3 h 0 min ago: wait until 2027-01-16 05:00:00Z"
    )
    assert found.as_dict()["at"] == "2027-01-15 05:00:00Z"


def test_every_condition_has_its_time() -> None:
    evidence = replace(QUIET, last_unconfirmed=NOW - 26 * HOUR, quarantined=2, quarantined_at=NOW - 26 * HOUR)
    times = {name: one.at for name, one in judged(evidence).items()}
    assert None not in times.values()
    assert times["quarantine"] == NOW - 26 * HOUR
    assert times["waiting"] == times["numbers"] == NOW, "counted now"


SPANS = [(0.4, "0 s"), (61, "1 min 1 s"), (HOUR, "1 h 0 min"), (47 * HOUR, "47 h 0 min"), (3 * DAY, "3 d 0 h")]


@pytest.mark.parametrize(("seconds", "text"), SPANS)
def test_spans_are_shown_in_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


counts = st.integers(0, 3) | st.just("not known")
moments = st.none() | st.floats(NOW - 10 * DAY, NOW)
evidences = st.builds(
    Evidence,
    last_callback=moments,
    last_unconfirmed=moments,
    watched_since=moments,
    waiting=counts,
    retrying=counts,
    dead=counts,
    quarantined=st.integers(0, 2),
    spooled=counts,
    is_ingest_up=st.booleans(),
    nexmo=st.just("not asked") | st.sampled_from([ELSEWHERE, OURS, replace(OURS, numbers=("1",))]),
)


@given(evidences, st.sampled_from([HOUR, DAY, 3 * DAY]))
def test_quiet_means_that_nothing_came_in_time_and_nothing_is_left(evidence: Evidence, period: float) -> None:
    if not is_quiet(conditions(evidence, period=period, now=NOW)):
        return
    for last in (evidence.last_callback, evidence.last_unconfirmed):
        assert last is None or NOW - last >= period
    assert (evidence.waiting, evidence.retrying, evidence.dead, evidence.spooled, evidence.quarantined) == (0,) * 5
    assert isinstance(evidence.nexmo, AtNexmo)
    assert not evidence.nexmo.numbers
    assert evidence.watched_since is not None
