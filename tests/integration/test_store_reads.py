"""Events are found by their ids, parties and states, a page at a time in both directions."""

from itertools import pairwise

import pytest

from ackfirst.shared.store import Cursor, EventFilter, EventRow, Store
from tests.support.record_rows import HANDLER, NOON, arrival, attempt, batch, ended, event_id, handled

DAY = 86_400


@pytest.fixture
def filled(store: Store) -> Store:
    """Forty events over four days, three of them at the same time."""
    rows = []
    for number in range(40):
        at = NOON + (number // 3) * 20_000
        fields = {
            "status": "rejected" if number % 10 == 7 else "delivered",
            "family": "inbound-sms" if number % 4 == 1 else "message-status",
            "sender": f"4477009{number % 5:05d}",
            "application_id": None if number % 8 == 3 else "app",
            "client_ref": "campaign" if number % 2 else None,
        }
        rows.append(handled(number, at, "dead" if number % 13 == 5 else "done", **fields))
    store.write(batch(1, *rows))
    return store


def pages(store: Store, wanted: EventFilter, limit: int) -> list[EventRow]:
    found: list[EventRow] = []
    page = store.events(wanted, limit=limit)
    while page:
        found += page
        page = store.events(wanted, after=page[-1].cursor, limit=limit)
    return found


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_pages_hold_every_event_once_newest_first(filled: Store, limit: int) -> None:
    found = pages(filled, EventFilter(), limit)
    assert len(found) == 40
    assert all((a.received_at, a.event_id) > (b.received_at, b.event_id) for a, b in pairwise(found))


def test_the_page_before_a_page_is_the_one_that_it_followed(filled: Store) -> None:
    first = filled.events(EventFilter(), limit=7)
    second = filled.events(EventFilter(), after=first[-1].cursor, limit=7)
    assert filled.events(EventFilter(), before=second[0].cursor, limit=7) == first
    assert filled.events(EventFilter(), before=first[0].cursor, limit=7) == []


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_pages_of_a_filter_go_over_months_in_both_directions(store: Store, limit: int) -> None:
    for number, day in enumerate((0, 0.5, 1, 1.0, 2, 7.9, 8, 9, 30, 30, 61)):
        status = "read" if number % 3 == 2 else "rejected"
        store.write(batch(number + 1, handled(number, NOON + day * DAY, status=status)))
    wanted = EventFilter(status="rejected")
    down = pages(store, wanted, limit)
    assert [(row.received_at - NOON) / DAY for row in down] == [61, 30, 9, 8, 2, 1, 0.5, 0]
    up = [down[-1]]
    while page := store.events(wanted, before=up[-1].cursor, limit=limit):
        up += page[::-1]
    assert up == down[::-1]
    oldest_first = [store.resolve(wanted, None, limit)]
    while page := store.resolve(wanted, oldest_first[-1][-1].cursor, limit):
        oldest_first.append(page)
    assert [row.event_id for page in oldest_first for row in page] == [row.event_id for row in up]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (EventFilter(status="rejected"), 4),
        (EventFilter(family="inbound-sms", status="rejected"), 2),
        (EventFilter(sender="447700900002"), 8),
        (EventFilter(recipient="447700900417"), 40),
        (EventFilter(recipient="44770090041"), 0),
        (EventFilter(client_ref="campaign", sender="447700900001"), 4),
        (EventFilter(message_id="uuid-7"), 1),
        (EventFilter(state="dead"), 3),
        (EventFilter(state="processed"), 37),
        (EventFilter(account="abcd1234", application_id="app", lane="sales"), 35),
        (EventFilter(handler=HANDLER), 40),
        (EventFilter(handler=HANDLER, state="dead"), 3),
        (EventFilter(handler="other"), 0),
        (EventFilter(error_type="ValueError"), 3),
        (EventFilter(error_type="KeyError"), 0),
        (EventFilter(since=NOON + 20_000, until=NOON + 40_000), 3),
        (EventFilter(since=NOON + 20_000.001), 34),
    ],
)
def test_a_filter_finds_what_fits_it_whole(filled: Store, wanted: EventFilter, count: int) -> None:
    assert len(pages(filled, wanted, 3)) == filled.count(wanted) == count
    assert len(filled.resolve(wanted, None, 100)) == count


def test_a_count_stops_at_its_cap(filled: Store) -> None:
    assert filled.count(EventFilter(), cap=10) == 10


def test_a_listing_has_no_bodies_unless_they_are_wanted(filled: Store) -> None:
    assert {row.body for row in filled.events(EventFilter())} == {b""}
    assert {row.body for row in filled.events(EventFilter(), bodies=True)} == {arrival(1).body}


def test_a_replay_gets_the_oldest_first_with_bodies_and_goes_on_where_it_was(filled: Store) -> None:
    wanted, found = EventFilter(until=NOON + 100_000), list[EventRow]()
    page = filled.resolve(wanted, None, 4)
    while page:
        found += page
        page = filled.resolve(wanted, Cursor.parse(str(page[-1].cursor)), 4)
    assert len(found) == 15
    assert found == sorted(found, key=lambda row: (row.received_at, row.event_id))
    assert {row.body for row in found} == {arrival(1).body}


@pytest.mark.parametrize("key", [event_id(7), "uuid-7"])
def test_a_message_is_found_by_each_of_its_ids(filled: Store, key: str) -> None:
    assert [row.event_id for row in filled.message(key)] == [event_id(7)]


def test_a_message_is_found_by_its_client_ref_newest_first_up_to_a_limit(filled: Store) -> None:
    found = filled.message("campaign", limit=5)
    assert [row.event_id for row in found] == [
        row.event_id for row in filled.events(EventFilter(client_ref="campaign"), limit=5)
    ]


def test_all_states_of_a_message_are_found_by_its_uuid(store: Store) -> None:
    rows = [handled(name, NOON + n, message_id="m", status=name) for n, name in enumerate(("submitted", "read"))]
    store.write(batch(1, *rows))
    assert [row.status for row in store.message("m")] == ["read", "submitted"]


def test_the_error_of_an_event_is_that_of_its_newest_attempt(store: Store) -> None:
    tries = [
        attempt(1, ending="retry", message="first"),
        attempt(1, ending="retry", number=2, started=NOON + 9, message="second"),
    ]
    store.write(batch(1, arrivals=[arrival(1)], attempts=tries[::-1], endings=[ended(1, state="retrying", attempts=2)]))
    [row] = store.events(EventFilter(state="retrying"))
    assert row.error == "ValueError: second"
    assert row.ended_at is None
    assert [one.message for one in store.attempts([row.event_id])] == ["first", "second"]


@pytest.mark.parametrize("text", ["", "1.5", "x~y", "~a", "1~"])
def test_a_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"cursor|float"):
        Cursor.parse(text)
