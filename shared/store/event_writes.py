"""Write the rows of events, attempts and requests of a batch."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, case

from ackfirst.shared.store.bulk import BulkInsert
from ackfirst.shared.store.part import Key
from ackfirst.shared.store.rows import Arrival, Attempt, Batch, Ending, Request
from ackfirst.shared.store.tables import attempts, events, requests
from ackfirst.shared.store.texts import LONGEST_KEY, clean, clean_or_none, query_bytes

#: Rows of one batch for requests that belong to no event.
MOST_REQUESTS: Final = 100

_KEY: Final = ("received_at", "event_id")
_OF_STATE: Final = ("state", "state_at", "attempts", "reason")
_OF_ARRIVAL: Final = tuple(one for one in events.c.keys() if one not in (*_KEY, *_OF_STATE, "redacted_at"))  # noqa: SIM118 - a collection of columns, not a mapping

#: ``state``, ``state_at``, ``attempts`` and ``reason``.
_State = tuple[str, float, int, str | None]


def write_events(connection: Connection, batch: Batch, recorded_at: float) -> None:
    """Write arrivals and endings. An event whose arrival is unknown gets a row that the arrival fills in later."""
    newest = _newest_states(batch)
    # Most events end in the batch in which they arrive: their state goes into the same INSERT.
    arrivals = {_key(row): row for row in batch.arrivals}
    states = {key: newest.pop(key, None) for key in arrivals}
    rows = [_arrival(row, states[key], recorded_at) for key, row in arrivals.items()]
    if _insert_arrivals(connection, rows) < len(rows):
        # Some were recorded before, and stay as they are; but their state may be new.
        newest.update({key: found for key, found in states.items() if found is not None})
    _insert_states(connection, [(*key, lane, *state) for key, (lane, state) in newest.items()])


def _fill_in(statement: Any) -> Any:
    """Complete the row of an event whose end was known first; its newer state stays."""
    given = statement.excluded
    later = given.state_at >= events.c.state_at
    changes = {name: given[name] for name in _OF_ARRIVAL}
    changes |= {name: case((later, given[name]), else_=events.c[name]) for name in _OF_STATE}
    return statement.on_conflict_do_update(index_elements=_KEY, set_=changes, where=events.c.recorded_at.is_(None))


def _move_on(statement: Any) -> Any:
    """Take over a state, but never an older one; a drop and the start of a replay know of no attempts."""
    given = statement.excluded
    later = given.state_at >= events.c.state_at
    most = case((given.attempts > events.c.attempts, given.attempts), else_=events.c.attempts)
    changes = {name: given[name] for name in _OF_STATE} | {"attempts": most}
    return statement.on_conflict_do_update(index_elements=_KEY, set_=changes, where=later)


def _leave(statement: Any) -> Any:
    return statement.on_conflict_do_nothing()


def _no_conflict(statement: Any) -> Any:
    return statement


_insert_arrivals: Final = BulkInsert(events, [*_KEY, *_OF_ARRIVAL, *_OF_STATE], _fill_in)
_insert_states: Final = BulkInsert(events, [*_KEY, "lane", *_OF_STATE], _move_on)
_insert_attempts: Final = BulkInsert(attempts, attempts.c.keys(), _leave)
_insert_requests: Final = BulkInsert(requests, requests.c.keys(), _no_conflict)


def _newest_states(batch: Batch) -> dict[Key, tuple[str, _State]]:
    """Find lane and last state of each event; of one with attempts only, a state that replaces none."""
    newest: dict[Key, tuple[str, _State]] = {}
    for ending in batch.endings:
        known = newest.get(key := _key(ending))
        if known is None or known[1][1] <= ending.at:
            attempts_so_far = max(ending.attempts, known[1][2] if known else 0)
            state = (clean(ending.state), ending.at, attempts_so_far, clean_or_none(ending.reason))
            newest[key] = clean(ending.lane, LONGEST_KEY), state
    for attempt in batch.attempts:
        newest.setdefault(_key(attempt), ("", ("waiting", 0.0, attempt.number, None)))
    return newest


def _key(row: Arrival | Attempt | Ending) -> Key:
    return row.received_at, clean(row.event_id, LONGEST_KEY)


def _arrival(row: Arrival, ending: tuple[str, _State] | None, recorded_at: float) -> tuple[Any, ...]:
    state = ending[1] if ending is not None else None
    if state is None or state[1] < row.received_at:
        state = ("waiting", row.received_at, 0, None)
    return (
        row.received_at,
        clean(row.event_id, LONGEST_KEY),
        clean_or_none(row.account),
        clean_or_none(row.application_id),
        clean(row.lane, LONGEST_KEY),
        clean(row.family, LONGEST_KEY),
        clean_or_none(row.channel),
        clean_or_none(row.message_id),
        clean_or_none(row.client_ref),
        clean_or_none(row.status),
        clean_or_none(row.sender),
        clean_or_none(row.recipient),
        row.occurred_at,
        clean(row.encoding),
        clean(row.content_type),
        row.body,
        query_bytes(row.query),
        clean_or_none(row.trace),
        clean_or_none(row.price),
        *state,
        recorded_at,
    )


def write_attempts(connection: Connection, rows: Sequence[Attempt]) -> None:
    """Write attempts; those that are known are left as they are."""
    values = [
        (
            row.received_at,
            clean(row.event_id, LONGEST_KEY),
            row.started,
            clean(row.handler, LONGEST_KEY),
            row.number,
            clean(row.worker),
            row.seconds,
            clean(row.ending),
            clean_or_none(row.error_type),
            None if row.message is None else clean(row.message),
            None if row.returned is None else clean(row.returned),
            clean_or_none(row.replay),
        )
        for row in rows
    ]
    _insert_attempts(connection, values)


def write_requests(connection: Connection, rows: Sequence[Request]) -> None:
    """Write requests; those of one batch that differ only in their time become one row with their count."""
    merged: dict[tuple[str | None, ...], tuple[float, int]] = {}
    for row in rows:
        texts = (row.kind, row.event_id, row.account, row.application_id, row.family, row.verdict, row.reason)
        values = tuple(map(clean_or_none, texts))
        if row.event_id is None and values not in merged and len(merged) >= MOST_REQUESTS:
            # Strangers may name an application of their own in each request: those are counted together.
            values = (values[0], None, None, None, None, values[5], None)
        at, count = merged.get(values, (row.at, 0))
        merged[values] = min(at, row.at), count + row.count
    _insert_requests(connection, [(at, *values, count) for values, (at, count) in merged.items()])
