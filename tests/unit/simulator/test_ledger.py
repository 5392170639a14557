"""Acknowledged callbacks compared with handled events."""

import json

from ackfirst.simulator.delivery import Attempt, Delivery
from ackfirst.simulator.ledger import Entry, as_lines, balance, entry, expected_ids
from ackfirst.simulator.planned import Kind
from tests.support.simulated import one


def line(event_id: str, *, acked: bool = True) -> Entry:
    return Entry(event_id=event_id, forged_id=None, kind="genuine", family="inbound-sms", answers=(200,), acked=acked)


def forged(event_id: str) -> Entry:
    return Entry(event_id=None, forged_id=event_id, kind="tampered", family="inbound-sms", answers=(401,), acked=False)


def test_a_ledger_balances_when_everything_acknowledged_was_handled() -> None:
    found = balance([line("a"), line("b"), forged("x")], {"a": 1, "b": 1})
    assert found.holds
    assert (found.expected, found.handled) == (2, 2)


def test_a_duplicate_is_expected_once() -> None:
    assert balance([line("a"), line("a")], {"a": 1}).expected == 1


def test_an_acknowledged_event_that_nobody_handled_is_missing() -> None:
    found = balance([line("a"), line("b")], {"a": 1})
    assert found.missing == ("b",)
    assert not found.holds


def test_a_forged_event_that_was_handled_came_through() -> None:
    found = balance([line("a"), forged("x")], {"a": 1, "x": 1})
    assert found.forged_through == ("x",)
    assert not found.holds


def test_an_event_may_be_handled_twice_or_without_acknowledgement() -> None:
    found = balance([line("a"), line("b", acked=False)], {"a": 2, "b": 1})
    assert found.holds
    assert found.handled_twice == ("a",)
    assert (found.expected, found.handled) == (1, 1)


def test_an_event_is_expected_when_any_of_its_deliveries_was_acknowledged() -> None:
    assert expected_ids([line("a", acked=False), line("a"), line("b", acked=False)]) == {"a"}


def test_an_entry_tells_a_genuine_event_from_a_forged_one() -> None:
    attempt = Attempt(signed=True, status=200, seconds=0.01)
    genuine, suspect = one(Kind.GENUINE), one(Kind.WRONG_SECRET)

    good = entry(Delivery(genuine, [attempt]))
    bad = entry(Delivery(suspect, [attempt]))

    assert (good.event_id, good.forged_id, good.acked) == (genuine.event_id, None, True)
    assert (bad.event_id, bad.forged_id, bad.acked) == (None, suspect.event_id, False)


def test_a_written_ledger_is_one_json_object_a_line() -> None:
    first, second = (json.loads(text) for text in as_lines([line("a"), forged("x")]).splitlines())
    assert first == {
        "event_id": "a",
        "forged_id": None,
        "kind": "genuine",
        "family": "inbound-sms",
        "answers": [200],
        "acked": True,
        "application": None,
        "fate": None,
        "waited": None,
    }
    assert second["forged_id"] == "x"
