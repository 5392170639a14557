"""The timeline of a message is made of what the record and the queue say, each thing once."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.ops.record.steps import Kind, Pending, Source, Step, steps_of
from ackfirst.shared.store.rows import Attempt, EventRow, Request

ID = "s-" + "0" * 32


def event(**fields: Any) -> EventRow:
    values: dict[str, Any] = {
        "event_id": ID,
        "account": "k7m2p9qa",
        "application_id": None,
        "lane": "k7m2p9qa",
        "family": "message-status",
        "channel": "sms",
        "message_id": "6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913",
        "client_ref": None,
        "status": "delivered",
        "sender": "447700900000",
        "recipient": "447700900417",
        "received_at": 100.0,
        "occurred_at": 99.5,
        "encoding": "json",
        "content_type": "application/json",
        "body": b"{}",
        "query": "",
        "trace": None,
        "recorded_at": 100.2,
    }
    return EventRow(**{**values, **fields})


def attempt(number: int, started: float, ending: str, **fields: Any) -> Attempt:
    values: dict[str, Any] = {
        "event_id": ID,
        "received_at": 100.0,
        "handler": "receipts.save",
        "number": number,
        "worker": "w1",
        "started": started,
        "seconds": 0.25,
        "ending": ending,
    }
    return Attempt(**{**values, **fields})


def pending(state: str, **fields: Any) -> dict[str, Pending]:
    return {ID: Pending(**{"event_id": ID, "state": state, "due": {}, "dead": {}, **fields})}


def kinds(steps: list[Step]) -> list[str]:
    return [step.kind.value for step in steps]


def test_a_processed_event_was_received_attempted_and_ended() -> None:
    steps = steps_of(
        [event(state="processed", state_at=100.9)], [attempt(1, 100.5, "done", returned="stored 17")], [], {}
    )
    assert kinds(steps) == ["received", "attempt", "ended"]
    assert steps[0].lag == 0.5
    assert steps[1].returned == "stored 17"
    assert steps[2].ending == "processed"


def test_a_retry_says_when_it_is_due_as_long_as_it_has_not_begun() -> None:
    failed = attempt(1, 100.5, "retry", error_type="TimeoutError", message="no answer")
    due = pending("retrying", due={"receipts.save": (2, 105.0)}, due_at=106.0)
    steps = steps_of([event(state="retrying", state_at=100.8)], [failed], [], due)
    assert kinds(steps) == ["received", "attempt", "retry"]
    assert steps[1].error == "TimeoutError: no answer"
    assert (steps[2].attempt, steps[2].due_at, steps[2].source) == (2, 106.0, Source.QUEUE)
    again = steps_of([event(state="processed", state_at=107)], [failed, attempt(2, 106.1, "done")], [], {})
    assert kinds(again) == ["received", "attempt", "retry", "attempt", "ended"]
    assert again[2].due_at is None


def test_an_attempt_that_both_the_record_and_the_stream_know_is_shown_once() -> None:
    recorded, queued = attempt(1, 100.5, "done"), attempt(1, 100.5000001, "done")
    steps = steps_of([event()], [recorded], [], {}, unrecorded_attempts=[queued])
    assert [(step.kind, step.source) for step in steps] == [
        (Kind.RECEIVED, Source.RECORD),
        (Kind.ATTEMPT, Source.RECORD),
    ]


def test_of_an_event_whose_arrival_alone_is_recorded_the_rest_is_of_the_queue() -> None:
    row = event(state="processed", state_at=100.9)
    waiting = [attempt(1, 100.1, "retry"), attempt(2, 100.5, "done")]
    steps = steps_of([row], [], [], pending("processed"), unrecorded_attempts=waiting, unrecorded_ends=frozenset({ID}))
    assert [(step.kind.value, step.source.value) for step in steps] == [
        ("received", "record"),
        ("attempt", "queue"),
        ("retry", "queue"),
        ("attempt", "queue"),
        ("ended", "queue"),
    ]


def test_a_replayed_attempt_of_the_same_number_is_another_one() -> None:
    dead = attempt(1, 100.5, "dead", error_type="KeyError")
    steps = steps_of(
        [event(state="processed", state_at=200.3)], [dead, attempt(1, 200.0, "done", replay="r-1")], [], {}
    )
    assert kinds(steps) == ["received", "attempt", "dead", "replayed", "attempt", "ended"]
    assert steps[3].replay == "r-1"


def test_what_waits_because_of_a_replay_says_so_before_it_runs() -> None:
    steps = steps_of(
        [event(state="dead", state_at=101)],
        [attempt(1, 100.5, "dead")],
        [],
        pending("waiting", since=200.0, replay=("r-1", 200.0)),
    )
    assert kinds(steps) == ["received", "attempt", "dead", "replayed"]


def test_every_dead_handler_has_a_step_and_the_event_no_other_end() -> None:
    both = [attempt(1, 100.5, "dead"), attempt(1, 100.6, "dead", handler="audit.note")]
    steps = steps_of([event(state="dead", state_at=101)], both, [], pending("dead", since=101.0))
    assert [step.handler for step in steps if step.kind is Kind.DEAD] == ["receipts.save", "audit.note"]
    assert "ended" not in kinds(steps)


def test_without_a_record_the_queue_alone_tells_of_retries_and_of_the_dead() -> None:
    row = event(recorded_at=None, state="retrying")
    waiting = pending("retrying", since=101.0, due={"receipts.save": (4, 110.0)}, due_at=110.0)
    steps = steps_of([row], [], [], waiting, unrecorded_arrivals=frozenset({ID}))
    assert kinds(steps) == ["received", "retry"]
    assert (steps[1].attempt, steps[1].due_at) == (4, 110.0)
    assert {step.source for step in steps} == {Source.QUEUE}
    dead = pending("dead", since=120.0, dead={"receipts.save": "KeyError: 7", "": "killed"})
    steps = steps_of([event(state="dead")], [], [], dead)
    assert [(step.handler, step.error) for step in steps[1:]] == [("receipts.save", "KeyError: 7"), (None, "killed")]


def test_a_dead_event_without_a_handler_to_blame_says_why() -> None:
    row = event(state="dead", state_at=101.0, reason="killed 3 workers")
    assert [(step.kind, step.error) for step in steps_of([row], [], [], {})][1:] == [(Kind.DEAD, "killed 3 workers")]


def test_an_event_is_received_first_and_ends_last_although_clocks_differ() -> None:
    steps = steps_of([event(state="processed", state_at=100.4)], [attempt(1, 99.9, "done")], [], {})
    assert kinds(steps) == ["received", "attempt", "ended"]
    steps = steps_of([event(state="processed", state_at=100.4)], [attempt(1, 100.5, "done")], [], {})
    assert kinds(steps) == ["received", "attempt", "ended"]
    assert steps[2].at == 100.75


def test_duplicates_and_quarantined_callbacks_are_steps_too() -> None:
    requests = [
        Request(at=103.0, kind="duplicate", event_id=ID, count=3),
        Request(at=90.0, kind="quarantined", verdict="suspect", reason="signature-mismatch"),
    ]
    steps = steps_of([event()], [], requests, {})
    assert kinds(steps) == ["quarantined", "received", "duplicate"]
    assert (steps[0].verdict, steps[2].count) == ("suspect", 3)


def test_a_step_as_an_object_has_only_what_applies() -> None:
    [step] = steps_of([event()], [], [], {})
    assert step.as_dict() == {
        "at": 100.0,
        "kind": "received",
        "event_id": ID,
        "lag": 0.5,
        "family": "message-status",
        "status": "delivered",
        "lane": "k7m2p9qa",
        "source": "record",
    }


ENDINGS = st.sampled_from(["done", "discarded", "retry", "dead"])
STATES = st.sampled_from(["waiting", "retrying", "processed", "unhandled", "discarded", "dead", "rejected"])
LIVE = st.none() | st.sampled_from(["waiting", "running", "retrying", "dead", "processed"])


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 50), ENDINGS), max_size=8), STATES, LIVE)
def test_steps_are_in_order_and_begin_with_the_arrival(
    made: list[tuple[int, int, str]], state: str, live: str | None
) -> None:
    attempts = [attempt(number, 101.0 + at, ending) for number, at, ending in made]
    steps = steps_of([event(state=state, state_at=200.0)], attempts, [], pending(live, since=200.0) if live else {})
    assert steps[0].kind is Kind.RECEIVED
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    distinct = {(one.number, one.started) for one in attempts}
    assert kinds(steps).count("attempt") == len(distinct)
    assert all(step.event_id == ID for step in steps)
