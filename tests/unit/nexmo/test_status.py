"""A message's statuses have one order, in whichever order their callbacks arrive."""

import itertools
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.nexmo.status import NO_STATUS, UNKNOWN_STATUS, status_rank
from tests.support.events import make_event

#: Every status of the Messages API, of the SMS API's receipts, and those that only the guides mention.
MESSAGES = ("submitted", "delivered", "read", "rejected", "undeliverable")
RECEIPTS = ("accepted", "buffered", "delivered", "expired", "failed", "rejected", "unknown")
FAILURES = ("rejected", "undeliverable", "expired", "failed", "unknown")
ALL = sorted({*MESSAGES, *RECEIPTS, "seen"})


def event_with(status: str | None) -> Event:
    return replace(make_event(), status=status)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [("submitted", "delivered"), ("delivered", "read"), ("accepted", "buffered"), ("buffered", "delivered")],
)
def test_a_later_stage_of_a_message_supersedes_an_earlier_one(lower: str, higher: str) -> None:
    assert event_with(higher).supersedes(lower)
    assert not event_with(lower).supersedes(higher)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("other", ALL)
def test_a_failure_stays_and_is_written_over_whatever_was_no_failure(failure: str, other: str) -> None:
    assert not event_with(other).supersedes(failure)
    assert event_with(failure).supersedes(other) == (other not in FAILURES)


@pytest.mark.parametrize("status", ALL)
def test_every_known_status_is_listed_in_any_case_and_replaces_none_and_unlisted_ones(status: str) -> None:
    event = event_with(status)
    assert event.status_rank == status_rank(status.upper()) > UNKNOWN_STATUS > NO_STATUS
    assert event.supersedes(None)
    assert event.supersedes("brand-new")
    assert not event.supersedes(status)


@pytest.mark.parametrize("status", [None, "", " "])
def test_no_status_supersedes_nothing(status: str | None) -> None:
    assert event_with(status).status_rank == NO_STATUS
    assert not event_with(status).supersedes(None)


def test_an_unlisted_status_is_written_only_where_there_is_none() -> None:
    assert event_with("brand-new").supersedes(None)
    assert not event_with("brand-new").supersedes("other-new")


@given(st.lists(st.sampled_from([*ALL, "brand-new"]), min_size=1))
def test_the_update_of_the_docs_ends_in_the_same_rank_in_any_order(statuses: list[str]) -> None:
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE messages (id, status, rank)")
        db.execute("INSERT INTO messages VALUES ('m', NULL, 0)")
        for event in map(event_with, statuses):
            db.execute(
                "UPDATE messages SET status = ?, rank = ? WHERE id = ? AND rank < ?",
                (event.status, event.status_rank, "m", event.status_rank),
            )
        [(rank,)] = db.execute("SELECT rank FROM messages").fetchall()
    assert rank == max(map(status_rank, statuses))


def test_ranks_are_a_pure_order() -> None:
    for one, two, three in itertools.product(ALL, repeat=3):
        if event_with(one).supersedes(two) and event_with(two).supersedes(three):
            assert event_with(one).supersedes(three)
