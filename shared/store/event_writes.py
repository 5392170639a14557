"""Write the rows of events, attempts and requests of a batch."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, case

from ackfirst.shared.store.part import Key, insert
from ackfirst.shared.store.rows import Arrival, Attempt, Batch, Ending, Request
from ackfirst.shared.store.tables import attempts, events, requests
from ackfirst.shared.store.texts import LONGEST_KEY, clean, clean_or_none, query_bytes

_KEY: Final = ("received_at", "event_id")
_OF_STATE: Final = ("state", "state_at", "attempts", "reason")


def write_events(connection: Connection, batch: Batch, recorded_at: float) -> None:
    """Write arrivals and endings. An event whose arrival is unknown gets a row that the arrival fills in later."""
    newest = _newest_endings(batch)
    rows = [_arrival_values(row, newest.pop(_key(row), None), recorded_at) for row in batch.arrivals]
    # An arrival that was recorded before stays as it is, but its end may be new.
    if rows and _insert_arrivals(connection, rows) < len(rows):
        newest.update({(row["received_at"], row["event_id"]): row for row in rows})
    if newest:
        values = [{name: row[name] for name in (*_KEY, "lane", *_OF_STATE)} for row in newest.values()]
        _insert_endings(connection, values)


def _insert_arrivals(connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
    statement = insert(connection, events)
    given = statement.excluded
    later = given.state_at >= events.c.state_at
    changes: dict[str, Any] = {name: given[name] for name in rows[0] if name not in (*_KEY, *_OF_STATE)}
    changes |= {name: case((later, given[name]), else_=events.c[name]) for name in _OF_STATE}
    statement = statement.on_conflict_do_update(index_elements=_KEY, set_=changes, where=events.c.recorded_at.is_(None))
    return connection.execute(statement, rows).rowcount


def _insert_endings(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    statement = insert(connection, events)
    given = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: given[name] for name in _OF_STATE},
        where=given.state_at >= events.c.state_at,
    )
    connection.execute(statement, rows)


def _newest_endings(batch: Batch) -> dict[Key, dict[str, Any]]:
    """Take the last state of each event; of one with attempts only, a row that changes no state."""
    newest: dict[Key, dict[str, Any]] = {}
    for ending in batch.endings:
        known = newest.get(key := _key(ending))
        if known is None or known["state_at"] <= ending.at:
            newest[key] = {
                "received_at": ending.received_at,
                "event_id": key[1],
                "lane": clean(ending.lane, LONGEST_KEY),
                "state": clean(ending.state, LONGEST_KEY),
                "state_at": ending.at,
                "attempts": ending.attempts,
                "reason": clean_or_none(ending.reason),
            }
    for attempt in batch.attempts:
        if (key := _key(attempt)) not in newest:
            newest[key] = {
                "received_at": attempt.received_at,
                "event_id": key[1],
                "lane": "",
                "state": "waiting",
                "state_at": 0.0,
                "attempts": attempt.number,
                "reason": None,
            }
    return newest


def _key(row: Arrival | Attempt | Ending) -> Key:
    return row.received_at, clean(row.event_id, LONGEST_KEY)


def _arrival_values(row: Arrival, ending: dict[str, Any] | None, recorded_at: float) -> dict[str, Any]:
    return {
        "received_at": row.received_at,
        "event_id": clean(row.event_id, LONGEST_KEY),
        "account": clean_or_none(row.account),
        "application_id": clean_or_none(row.application_id),
        "lane": clean(row.lane, LONGEST_KEY),
        "family": clean(row.family, LONGEST_KEY),
        "channel": clean_or_none(row.channel),
        "message_id": clean_or_none(row.message_id),
        "client_ref": clean_or_none(row.client_ref),
        "status": clean_or_none(row.status),
        "sender": clean_or_none(row.sender),
        "recipient": clean_or_none(row.recipient),
        "occurred_at": row.occurred_at,
        "encoding": clean(row.encoding),
        "content_type": clean(row.content_type),
        "body": row.body,
        "query": query_bytes(row.query),
        "trace": clean_or_none(row.trace),
        "price": clean_or_none(row.price),
        "state": "waiting" if ending is None else ending["state"],
        "state_at": row.received_at if ending is None else ending["state_at"],
        "attempts": 0 if ending is None else ending["attempts"],
        "reason": None if ending is None else ending["reason"],
        "recorded_at": recorded_at,
    }


def write_attempts(connection: Connection, rows: Sequence[Attempt]) -> None:
    """Write attempts; those that are known are left as they are."""
    if not rows:
        return
    values = [
        {
            "received_at": row.received_at,
            "event_id": clean(row.event_id, LONGEST_KEY),
            "started": row.started,
            "handler": clean(row.handler, LONGEST_KEY),
            "number": row.number,
            "worker": clean(row.worker),
            "seconds": row.seconds,
            "ending": clean(row.ending),
            "error_type": clean_or_none(row.error_type),
            "message": None if row.message is None else clean(row.message),
            "returned": None if row.returned is None else clean(row.returned),
            "replay": clean_or_none(row.replay),
        }
        for row in rows
    ]
    connection.execute(insert(connection, attempts).on_conflict_do_nothing(), values)


def write_requests(connection: Connection, rows: Sequence[Request]) -> None:
    """Write requests; those of one batch that differ only in their time become one row with their count."""
    merged: dict[tuple[str | None, ...], dict[str, Any]] = {}
    for row in rows:
        values = {
            "kind": clean(row.kind),
            "event_id": clean_or_none(row.event_id),
            "account": clean_or_none(row.account),
            "application_id": clean_or_none(row.application_id),
            "family": clean_or_none(row.family),
            "verdict": clean_or_none(row.verdict),
            "reason": clean_or_none(row.reason),
        }
        known = merged.setdefault(tuple(values.values()), {**values, "at": row.at, "count": 0})
        known["at"] = min(known["at"], row.at)
        known["count"] += row.count
    if merged:
        connection.execute(requests.insert(), [*merged.values()])
