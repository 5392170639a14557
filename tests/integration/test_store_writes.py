"""Batches are written once, whatever is repeated, and in whatever order rows come."""

import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from ackfirst.shared.store import Batch, Cursor, EventFilter, Request, StaleBatchError, Store, open_store
from tests.support.record_rows import HANDLER, NOON, arrival, attempt, batch, ended, event_id, handled

ALL = EventFilter()


def test_an_event_comes_back_as_it_was_written(store: Store) -> None:
    given_row = arrival(1, client_ref="order 7", body=b"\x00\xff{}\r\n", query="a=%00&b=\udcff\x00", price="0.0333 EUR")
    store.write(batch(1, arrivals=[given_row], attempts=[attempt(1)], endings=[ended(1)]))
    [row] = store.message("uuid-1")
    for name in type(given_row).__slots__:
        assert getattr(row, name) == getattr(given_row, name), name
    assert (row.state, row.attempts, row.ended_at, row.error) == ("processed", 1, NOON + 0.2, None)
    assert row.recorded_at is not None
    assert store.attempts([row.event_id]) == [attempt(1)]


def test_a_batch_that_is_written_again_changes_nothing(store: Store) -> None:
    once = batch(1, handled(1, how="dead"), requests=[Request(at=NOON, kind="duplicate", event_id=event_id(1))])
    store.write(once)
    before = store.stats(NOON - 60, NOON + 60), store.dead_groups(NOON), store.events(ALL), store.applications()
    store.write(once)
    assert (
        store.stats(NOON - 60, NOON + 60),
        store.dead_groups(NOON),
        store.events(ALL),
        store.applications(),
    ) == before
    assert store.requests([event_id(1)]) == list(once.requests)


def test_the_position_is_that_of_the_newest_batch(store: Store) -> None:
    assert store.position() == "0-0"
    store.write(batch(9))
    store.write(Batch(position="10-3"))
    assert store.position() == "10-3"
    store.write(batch(9, handled(1)))
    assert store.count(ALL) == 0, "it was written before: ids of a stream are numbers, not texts"


def test_a_batch_that_overlaps_what_another_writer_wrote_is_refused(store: Store) -> None:
    store.write(replace(batch(5, handled(1)), after="0-0"))
    with pytest.raises(StaleBatchError, match="5-0"):
        store.write(replace(batch(7, handled(1), handled(2)), after="0-0"))
    store.write(replace(batch(5, handled(1)), after="0-0"))
    assert (store.count(ALL), store.position()) == (1, "5-0")


def test_after_redis_began_a_new_stream_its_lower_positions_are_written(store: Store) -> None:
    store.write(batch(9, handled(1)))
    store.write(replace(batch(2, handled(2)), after="9-0"))
    assert (store.count(ALL), store.position()) == (2, "2-0")


def test_rows_that_are_known_are_not_written_twice(store: Store) -> None:
    store.write(batch(1, handled(1, how="retry")))
    recorded = store.message("uuid-1")[0].recorded_at
    store.write(batch(2, {**handled(1, how="retry"), "arrivals": [arrival(1, body=b"other")]}))
    [row] = store.message("uuid-1")
    assert (row.recorded_at, row.body) == (recorded, b'{"status": "delivered"}')
    assert len(store.attempts([row.event_id])) == 1


def test_an_event_that_arrives_again_after_days_is_a_second_row(store: Store) -> None:
    store.write(batch(1, handled(1)))
    store.write(batch(2, handled(1, NOON + 300_000)))
    assert [row.received_at for row in store.message(event_id(1))] == [NOON + 300_000, NOON]


def test_an_end_that_is_known_before_its_arrival_is_kept_and_filled_in(store: Store) -> None:
    store.write(batch(1, attempts=[attempt(1, ending="dead")], endings=[ended(1, state="dead")]))
    [row] = store.message(event_id(1))
    assert (row.state, row.body, row.recorded_at, row.error) == ("dead", b"", None, "ValueError: no such customer")
    store.write(batch(2, arrivals=[arrival(1)]))
    [row] = store.message("uuid-1")
    assert (row.state, row.attempts, row.body) == ("dead", 1, arrival(1).body)
    assert row.recorded_at is not None


def test_attempts_of_an_unknown_event_are_kept(store: Store) -> None:
    store.write(batch(1, attempts=[attempt(1)]))
    assert [row.state for row in store.message(event_id(1))] == ["waiting"]
    store.write(batch(2, arrivals=[arrival(1)], endings=[ended(1)]))
    assert [row.state for row in store.message("uuid-1")] == ["processed"]
    assert store.attempts([event_id(1)]) == [attempt(1)]


def test_a_state_never_goes_back_in_time(store: Store) -> None:
    newer, older = ended(1, at=NOON + 50), ended(1, state="retrying", at=NOON + 40)
    store.write(batch(1, handled(1), endings=[newer]))
    store.write(batch(2, endings=[older]))
    assert store.message("uuid-1")[0].state == "processed"
    store.write(
        batch(3, arrivals=[arrival(2)], endings=[ended(2, at=NOON + 9), ended(2, state="retrying", at=NOON + 5)])
    )
    assert store.message("uuid-2")[0].state == "processed"


@pytest.mark.parametrize("known", ["in the batch", "in the store", "nowhere"])
def test_an_end_without_the_time_of_its_event_finds_it(store: Store, known: str) -> None:
    ending, tried = replace(ended(1), received_at=0.0), replace(attempt(1), received_at=0.0)
    if known == "in the store":
        store.write(batch(1, arrivals=[arrival(1)]))
    store.write(batch(2, arrivals=[arrival(1)] if known == "in the batch" else [], endings=[ending], attempts=[tried]))
    [row] = store.message(event_id(1))
    assert row.state == "processed"
    assert row.received_at == (ending.at if known == "nowhere" else NOON)
    assert [one.handler for one in store.attempts([row.event_id])] == [HANDLER]


def test_requests_of_a_batch_that_are_alike_are_one_row(store: Store) -> None:
    same = {"kind": "duplicate", "event_id": event_id(1)}
    store.write(
        batch(
            1,
            requests=[
                Request(at=NOON + 1, **same),
                Request(at=NOON, count=3, **same),
                Request(at=NOON, kind="refused"),
            ],
        )
    )
    assert store.requests([event_id(1)]) == [Request(at=NOON, count=4, **same)]
    assert store.stats(NOON - 60, NOON + 60).totals["request"] == {"duplicate": 4, "refused": 1}


def test_a_flood_of_requests_that_all_differ_is_counted_in_few_rows(store: Store, store_url: str) -> None:
    flood = [Request(at=NOON, kind="quarantined", verdict="forged", application_id=f"a{n}") for n in range(5_000)]
    store.write(batch(1, requests=flood))
    assert store.stats(NOON, NOON + 1).totals["verdict"] == {"forged": 5_000}
    engine = create_engine(store_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*), sum(count) FROM requests")).one() == (101, 5_000)
    engine.dispose()


def test_an_event_twice_in_one_batch_is_one_row(store: Store) -> None:
    store.write(batch(1, arrivals=[arrival(1), arrival(1)], attempts=[attempt(1), attempt(1)]))
    assert store.count(ALL) == 1


def test_following_sees_every_event_although_it_arrived_before_those_already_seen(store: Store) -> None:
    store.write(batch(1, handled(1), handled(2, NOON + 5)))
    seen = store.follow(ALL, None)
    place = Cursor(seen[-1].recorded_at or 0.0, seen[-1].event_id)
    store.write(batch(2, handled(3, NOON - 3_600)))
    assert [row.event_id for row in store.follow(ALL, place)] == [event_id(3)]


def test_writers_at_once_write_each_batch_once(store_url: str) -> None:
    batches = [batch(number, *(handled(f"{number}.{part}") for part in range(5))) for number in range(1, 21)]
    stores = [open_store(store_url) for _ in range(3)]

    def write_all(one: Store) -> None:
        for some in batches:
            one.write(some)

    threads = [threading.Thread(target=write_all, args=(one,)) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    totals = stores[0].stats(NOON - 60, NOON + 60).totals
    assert stores[0].count(ALL) == totals["family"]["message-status"] == totals["outcome"]["processed"] == 100
    for one in stores:
        one.close()


texts = st.text(st.characters(codec=None, categories=None), max_size=40) | st.sampled_from(
    [
        "\0",
        "a\0b",
        "\ud800",
        "\udcff\udc80",
        "x" * 6_000,
        "ü" * 3_000,
        "\U0001f600" * 1_000,
        "%(id)s ?:x",
        "\\N",
        "\t\n",
    ]
)


def test_the_longest_texts_fit_into_every_index(store: Store) -> None:
    # No letter twice: PostgreSQL compresses what repeats, and then longer texts fit.
    long = "".join(chr(0x10000 + 97 * n) for n in range(6_000))
    row = arrival(1, **dict.fromkeys(("account", "application_id", "lane", "family", "client_ref", "sender"), long))
    row = replace(row, event_id=long, message_id=long)
    tried = attempt(1, ending="dead", handler=long, error_type=long, message=long)
    store.write(
        batch(
            1,
            arrivals=[row],
            attempts=[replace(tried, event_id=long)],
            endings=[replace(ended(1, state="dead", reason=long), event_id=long)],
            requests=[Request(at=NOON, kind=long, event_id=long, verdict=long, reason=long)],
        )
    )
    [found] = store.message(long)
    assert len(store.attempts([found.event_id])) == len(store.requests([long])) == len(store.dead(long, long)) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(texts, min_size=14, max_size=14), st.binary(max_size=200), texts)
def test_any_text_can_be_written_and_bytes_come_back_exactly(
    store: Store, values: list[str], body: bytes, query: str
) -> None:
    number = int(store.position().partition("-")[0]) + 1
    names = ("lane", "family", "message_id", "client_ref", "sender", "recipient", "status", "account", "content_type")
    row = arrival(number, NOON + number, body=body, query=query, **dict(zip(names, values, strict=False)))
    tried = attempt(number, NOON + number, "dead", handler=values[9], error_type=values[10], message=values[11])
    store.write(
        batch(
            number,
            arrivals=[row],
            attempts=[tried],
            endings=[ended(number, NOON + number, "dead", reason=values[12])],
            requests=[Request(at=NOON, kind="refused", verdict=values[13], reason=values[12])],
        )
    )
    [found] = store.message(row.event_id)
    assert (found.body, found.query) == (body, query)
    if values[2]:
        assert found.event_id in [one.event_id for one in store.message(values[2], limit=1_000)]
        assert found.event_id in [one.event_id for one in store.events(EventFilter(message_id=values[2]), limit=1_000)]
