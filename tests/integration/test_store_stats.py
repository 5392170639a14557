"""Counts come from roll-ups: exact by family, outcome, verdict and handler, whatever was repeated."""

import pytest

from ackfirst.shared.store import AuditRow, Gap, Replay, Request, Store
from tests.support.record_rows import HANDLER, NOON, arrival, attempt, batch, ended, handled

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def test_events_endings_and_requests_are_counted_by_name(store: Store) -> None:
    store.write(
        batch(
            1,
            handled(1),
            handled(2, how="dead", family="inbound-sms"),
            handled(3, NOON + MINUTE),
            requests=[
                Request(at=NOON, kind="quarantined", verdict="bad-signature", count=7),
                Request(at=NOON, kind="duplicate"),
            ],
        )
    )
    found = store.stats(NOON - 5, NOON + 2 * MINUTE)
    assert found.totals == {
        "family": {"message-status": 2, "inbound-sms": 1},
        "outcome": {"processed": 2, "dead": 1},
        "request": {"quarantined": 7, "duplicate": 1},
        "verdict": {"bad-signature": 7},
    }
    assert found.step == MINUTE
    assert [(point.at, point.counts["family"]) for point in found.points] == [
        (NOON, {"message-status": 1, "inbound-sms": 1}),
        (NOON + MINUTE, {"message-status": 1}),
    ]


@pytest.mark.parametrize(("span", "step"), [(6 * HOUR, MINUTE), (7 * HOUR, HOUR), (90 * DAY, HOUR)])
def test_short_spans_come_by_minute_and_long_ones_by_hour(store: Store, span: int, step: int) -> None:
    store.write(batch(1, handled(1, NOON - 1), handled(2, NOON - span + 1)))
    found = store.stats(NOON - span, NOON)
    assert (found.step, found.totals["family"]["message-status"]) == (step, 2)
    assert (found.since, found.until) == (NOON - span, NOON)


def test_the_ends_of_a_span_are_moved_outwards_and_nothing_outside_is_counted(store: Store) -> None:
    store.write(batch(1, handled(1, NOON - 1), handled(2, NOON + 59), handled(3, NOON + 61)))
    found = store.stats(NOON + 30, NOON + 31)
    assert (found.since, found.until, found.totals["family"]) == (NOON, NOON + MINUTE, {"message-status": 1})


def test_provider_lag_is_a_histogram(store: Store) -> None:
    lags = {1: 0.05, 2: 0.3, 3: 0.4, 4: 7_200.0, 5: -3.0, 6: 1e9}
    rows = [arrival(name, occurred_at=NOON - lag) for name, lag in lags.items()]
    store.write(batch(1, arrivals=[*rows, arrival(7, occurred_at=None)]))
    assert store.stats(NOON, NOON + 1).lag == {0.1: 2, 0.5: 2, 21_600.0: 1, 86_400.0: 1}


def test_handlers_have_their_runs_failures_and_quantiles_the_slowest_first(store: Store) -> None:
    fast = [attempt(n, seconds=0.004) for n in range(98)]
    slow = [attempt(n, seconds=0.4, ending="retry", message=f"try {n}") for n in range(98, 100)]
    other = [attempt(n, handler="other", seconds=3.0) for n in range(2)]
    store.write(batch(1, attempts=[*fast, *slow, *other]))
    first, second = store.stats(NOON, NOON + 1).handlers
    assert (first.handler, first.runs, first.failures, first.p50) == ("other", 2, 0, 5.0)
    assert (second.handler, second.runs, second.failures) == (HANDLER, 100, 2)
    assert (second.p50, second.p99) == (0.005, 0.5)
    assert second.seconds == pytest.approx(98 * 0.004 + 2 * 0.4)
    assert (first.last_error, second.last_error) == (None, "ValueError: try 99")


def test_the_last_callback_of_each_application_is_known(store: Store) -> None:
    store.write(batch(1, arrivals=[arrival(1, NOON + 9), arrival(2), arrival(3, application_id=None, account=None)]))
    store.write(batch(2, arrivals=[arrival(4, NOON + 5)]))
    found = {(row.account, row.application_id): (row.at, row.count) for row in store.applications()}
    assert found == {
        ("abcd1234", "aaaaaaaa-bbbb-4ccc-8ddd-000000000001"): (NOON + 9, 3),
        ("", ""): (NOON, 1),
    }


def test_an_empty_record_has_empty_answers(store: Store) -> None:
    found = store.stats(NOON, NOON + DAY)
    assert (found.points, found.totals, found.handlers, found.lag, found.gaps) == ([], {}, [], {}, [])
    assert store.applications() == store.dead_groups(NOON) == store.dead() == store.message("x") == []


def test_gaps_are_listed_and_part_of_the_counts_of_their_time(store: Store) -> None:
    first, second = Gap(NOON, NOON + 60, 12, "backlog"), Gap(NOON + DAY, NOON + DAY + 5, 3, "memory\0")
    store.note_gap(second)
    store.note_gap(first)
    assert store.gaps(0.0) == [first, Gap(NOON + DAY, NOON + DAY + 5, 3, "memory\ufffd")]
    assert store.gaps(NOON + 61) == store.gaps(0.0)[1:]
    assert store.stats(NOON + 30, NOON + 31).gaps == [first]


def test_acts_are_listed_newest_first(store: Store) -> None:
    rows = [AuditRow(NOON + n, "ann", "dead.drop", f"event {n}", "because") for n in range(5)]
    for row in rows:
        store.audit(row)
    assert store.audit_rows(NOON + 1, limit=3) == rows[:1:-1]


def test_a_replay_is_kept_with_its_progress(store: Store) -> None:
    replay = Replay(
        id="r1", name="broken hour", created_at=NOON, who="ann", reason="bug 7", filter='{"since": 1}', total=9
    )
    store.replay_new(replay)
    store.replay_new(Replay(id="r1", name="twice", created_at=NOON, who="bob", reason="", filter="{}"))
    store.replay_new(Replay(id="r2", name="later", created_at=NOON + 1, who="bob", reason="", filter="{}", fresh=True))
    assert store.replay("r1") == replay
    assert store.replay("r3") is None
    assert store.replay_update("r1", moved=4, cursor="1.5~x", state="paused", note="lag")
    assert not store.replay_update("r3", moved=4)
    assert [(row.id, row.moved, row.state, row.fresh) for row in store.replays()] == [
        ("r2", 0, "running", True),
        ("r1", 4, "paused", False),
    ]
    with pytest.raises(TypeError, match="colour"):
        store.replay_update("r1", colour="red")


def test_an_ending_counts_at_the_time_of_its_end(store: Store) -> None:
    store.write(batch(1, arrivals=[arrival(1)]))
    store.write(batch(2, endings=[ended(1, at=NOON + 10 * MINUTE)]))
    points = {point.at: point.counts for point in store.stats(NOON, NOON + HOUR).points}
    assert points == {
        NOON: {"family": {"message-status": 1}},
        NOON + 10 * MINUTE: {"outcome": {"processed": 1}},
    }
