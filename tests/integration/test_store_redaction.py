"""Personal data goes, also from the file itself; what can be counted and compared stays."""

from pathlib import Path

from sqlalchemy.engine import make_url

from ackfirst.shared.store import AuditRow, EventFilter, Redacted, Replay, Store
from tests.support.record_rows import NOON, arrival, attempt, batch, ended, event_id

KEY = b"a key of the operator's"
NUMBER = "447700900417"
TEXT = "I am at the hospital"


def fill(store: Store) -> None:
    store.write(
        batch(
            1,
            arrivals=[
                arrival(1, body=TEXT.encode(), query=f"text={TEXT}", client_ref="ann", price="0.03 EUR"),
                arrival(2, sender=NUMBER, recipient="447700900001", body=TEXT.encode()),
                arrival(3, recipient="447700900999", body=TEXT.encode()),
            ],
            attempts=[
                attempt(1, ending="dead", message=TEXT),
                attempt(2, returned=TEXT),
                attempt(3, ending="retry", message=TEXT),
            ],
            endings=[ended(1, state="dead"), ended(2, state="rejected", reason=TEXT), ended(3, state="retrying")],
        )
    )


def test_everything_from_and_to_a_number_is_redacted(store: Store) -> None:
    fill(store)
    assert store.redact(number=NUMBER, key=KEY) == Redacted(events=2, attempts=2, dead_letters=1)
    one, two, three = (store.message(event_id(name))[0] for name in (1, 2, 3))
    assert (one.body, one.query, two.body, two.reason) == (b"", "", b"", None)
    assert one.recipient == two.sender
    assert NUMBER not in str((one, two))
    assert str(one.recipient).startswith("redacted:")
    assert one.client_ref is not None
    assert one.client_ref.startswith("redacted:")
    assert (one.status, one.state, one.price, one.received_at, one.occurred_at) == (
        *("delivered", "dead", "0.03 EUR"),
        *(NOON, NOON - 0.3),
    )
    assert one.redacted_at is not None
    assert one.error == "ValueError"
    assert [row.error for row in store.dead()] == [""]
    assert [(row.message, row.returned) for row in store.attempts([one.event_id, two.event_id])] == [(None, None)] * 2
    assert (three.body, three.error, three.redacted_at) == (TEXT.encode(), f"ValueError: {TEXT}", None)


def test_redacting_again_finds_nothing_more(store: Store) -> None:
    fill(store)
    store.redact(number=NUMBER, key=KEY)
    before = store.events(EventFilter(), bodies=True)
    hashed = str(store.message(event_id(1))[0].recipient)
    for number in (NUMBER, hashed):
        assert store.redact(number=number, key=KEY) == Redacted()
    assert store.redact(event_ids=[event_id(1), event_id("unknown")], key=KEY) == Redacted()
    assert store.events(EventFilter(), bodies=True) == before


def test_only_the_events_that_are_named_are_redacted(store: Store) -> None:
    fill(store)
    assert store.redact(event_ids=[event_id(3)], key=KEY) == Redacted(events=1, attempts=1)
    assert store.message(event_id(3))[0].body == b""
    assert store.message(event_id(1))[0].recipient == NUMBER


def test_more_events_than_one_transaction_takes_are_redacted(store: Store) -> None:
    store.write(batch(1, arrivals=[arrival(n, NOON + n) for n in range(1_200)]))
    assert store.redact(number=NUMBER, key=KEY).events == 1_200
    assert store.count(EventFilter(recipient=NUMBER)) == 0


def test_the_same_number_has_the_same_hash_under_a_key_only(store: Store) -> None:
    store.write(batch(1, arrivals=[arrival(1), arrival(2)]))
    store.redact(event_ids=[event_id(1)], key=KEY)
    store.redact(event_ids=[event_id(2)], key=b"another key")
    one, two = (store.message(event_id(name))[0] for name in (1, 2))
    assert one.sender != two.sender
    assert len({one.sender, one.recipient}) == 2


def test_a_number_leaves_the_filters_of_replays_and_the_audit(store: Store) -> None:
    replay = Replay(
        id="r", name=f"all of {NUMBER}", created_at=NOON, who="ann", reason="", filter=f'{{"sender":"{NUMBER}"}}'
    )
    store.replay_new(replay)
    store.audit(AuditRow(NOON, "ann", "replay", NUMBER, f"events of {NUMBER}"))
    assert store.redact(number=NUMBER, key=KEY).replays == 1
    assert NUMBER not in str((store.replay("r"), store.audit_rows(0)))


def test_no_byte_of_what_was_redacted_or_purged_stays_in_the_file(store: Store, store_url: str) -> None:
    fill(store)
    store.redact(number=NUMBER, key=KEY)
    store.purge(NOON + 86_400, exact=True)
    store.redact(event_ids=[], key=KEY)
    url = make_url(store_url)
    if url.get_backend_name() == "sqlite":
        folder = Path(str(url.database)).parent
        held = b"".join(file.read_bytes() for file in folder.iterdir())
        assert TEXT.encode() not in held
        assert NUMBER.encode() not in held
