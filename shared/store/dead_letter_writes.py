"""Keep the table of dead letters: one row for each handler whose newest attempt with an event failed for good."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, select

from ackfirst.shared.queue.record import UNWANTED
from ackfirst.shared.store.part import Key, at_most, chunks, insert, rows_of
from ackfirst.shared.store.rows import Attempt, Batch, Ending
from ackfirst.shared.store.tables import dead_letters, dead_minutes, events
from ackfirst.shared.store.texts import LONGEST_KEY, clean

MINUTE_SECONDS: Final = 60

_OF_EVENT: Final = (events.c.received_at, events.c.event_id, events.c.message_id, events.c.lane)

#: An event and one of its handlers; the empty handler stands for the event itself.
_Slot = tuple[float, str, str]


def update_dead_letters(connection: Connection, batch: Batch) -> None:
    """Add the handlers that have died, and take away those that have run again or whose event was dropped."""
    newest = _newest_attempts(batch.attempts)
    dead = {slot: attempt for slot, attempt in newest.items() if attempt.ending == "dead"}
    dead_events = {_key(row): row for row in _endings(batch) if row.state == "dead"}
    if not dead and not dead_events and not _any_known(connection, batch):
        return
    keys = sorted({slot[:2] for slot in newest} | {_key(row) for row in batch.endings})
    known = {(row.received_at, row.event_id, row.handler): row for row in _known(connection, keys)}
    gone = [row for slot, row in known.items() if slot in newest and row.dead_at <= _ended(newest[slot])]
    gone += _outlived(batch, known.values(), tried={slot[:2] for slot in newest})
    left = set(known) - {(row.received_at, row.event_id, row.handler) for row in gone}
    added = _letters(connection, {slot: row for slot, row in dead.items() if slot not in left}, batch)
    with_letter = {slot[:2] for slot in left} | {(row["received_at"], row["event_id"]) for row in added}
    added += _letters_of_events(connection, [row for key, row in dead_events.items() if key not in with_letter])
    remove_letters(connection, gone)
    if added:
        connection.execute(insert(connection, dead_letters).on_conflict_do_nothing(), added)
        count_letters(connection, Counter(_group(row["handler"], row["error_type"], row["dead_at"]) for row in added))


def remove_letters(connection: Connection, letters: Iterable[Any]) -> None:
    """Delete dead letters, and take them out of the counts by minute."""
    rows = list(letters)
    if not rows:
        return
    table = dead_letters.c
    mine = (table.received_at == bindparam("r"), table.event_id == bindparam("e"), table.handler == bindparam("h"))
    values = [{"r": row.received_at, "e": row.event_id, "h": row.handler} for row in rows]
    connection.execute(delete(dead_letters).where(*mine), values)
    removed = Counter(_group(row.handler, row.error_type, row.dead_at) for row in rows)
    count_letters(connection, Counter({group: -count for group, count in removed.items()}))


def count_letters(connection: Connection, groups: Counter[tuple[str, str, int]]) -> None:
    """Add to the counts of dead letters by handler, error type and minute."""
    statement = insert(connection, dead_minutes)
    summed = {"n": dead_minutes.c.n + statement.excluded.n}
    statement = statement.on_conflict_do_update(index_elements=["handler", "error_type", "at"], set_=summed)
    # In a fixed order, so that two writers cannot wait for each other's rows.
    values = [{"handler": h, "error_type": e, "at": at, "n": groups[h, e, at]} for h, e, at in sorted(groups)]
    connection.execute(statement, values)


def _group(handler: str, error_type: str, dead_at: float) -> tuple[str, str, int]:
    return handler, error_type, int(dead_at // MINUTE_SECONDS) * MINUTE_SECONDS


def _newest_attempts(attempts: Iterable[Attempt]) -> dict[_Slot, Attempt]:
    newest: dict[_Slot, Attempt] = {}
    for attempt in attempts:
        slot = (attempt.received_at, clean(attempt.event_id, LONGEST_KEY), clean(attempt.handler, LONGEST_KEY))
        if slot not in newest or newest[slot].started <= attempt.started:
            newest[slot] = attempt
    return newest


def _key(row: Attempt | Ending) -> Key:
    return row.received_at, clean(row.event_id, LONGEST_KEY)


def _ended(attempt: Attempt) -> float:
    return attempt.started + attempt.seconds


def _any_known(connection: Connection, batch: Batch) -> bool:
    """Return whether any event of the batch's time is dead: in good times the only cost of dead letters."""
    rows: list[Attempt | Ending] = [*batch.attempts, *batch.endings]
    times = [row.received_at for row in rows]
    if not times:
        return False
    found = select(dead_letters.c.handler).where(dead_letters.c.received_at.between(min(times), max(times)))
    return connection.execute(at_most(found, 1)).first() is not None


def _known(connection: Connection, keys: list[Key]) -> Iterable[Row[Any]]:
    for some in chunks(keys):
        yield from connection.execute(rows_of(connection, dead_letters, some))


def _outlived(batch: Batch, known: Iterable[Row[Any]], tried: set[Key]) -> list[Row[Any]]:
    """Find letters that end with their event.

    It was discarded although no handler ran: an operator has dropped it. Or it had died without a handler's doing, and
    has ended again.
    """
    dropped = {_key(row): row.at for row in _endings(batch) if row.state == "discarded" and _key(row) not in tried}
    ended = {_key(row): row.at for row in _endings(batch) if row.state not in ("waiting", "retrying")}

    def is_over(row: Row[Any]) -> bool:
        ends = dropped if row.handler else ended
        return ends.get((row.received_at, row.event_id), 0.0) >= float(row.dead_at)

    return [row for row in known if is_over(row)]


def _endings(batch: Batch) -> Iterator[Ending]:
    """Yield the endings that say something of dead letters: not those of a replay that had nothing to run."""
    return (row for row in batch.endings if row.reason != UNWANTED)


def _letters(connection: Connection, dead: dict[_Slot, Attempt], batch: Batch) -> list[dict[str, Any]]:
    lanes = {_key(row): row.lane for row in batch.endings}
    of_events = _events(connection, [slot[:2] for slot in dead])
    return [
        {
            "received_at": slot[0],
            "event_id": slot[1],
            "handler": slot[2],
            "message_id": of_events[slot[:2]].message_id if slot[:2] in of_events else None,
            "lane": clean(lanes.get(slot[:2]) or (of_events[slot[:2]].lane if slot[:2] in of_events else "")),
            "error_type": clean(attempt.error_type or "", LONGEST_KEY),
            "error": clean(attempt.message or ""),
            "attempts": attempt.number,
            "dead_at": _ended(attempt),
        }
        for slot, attempt in dead.items()
    ]


def _letters_of_events(connection: Connection, endings: list[Ending]) -> list[dict[str, Any]]:
    """Make the letters of events that died without an attempt: unreadable, or too many workers killed."""
    of_events = _events(connection, [_key(row) for row in endings])
    return [
        {
            "received_at": row.received_at,
            "event_id": _key(row)[1],
            "handler": "",
            "message_id": of_events[_key(row)].message_id if _key(row) in of_events else None,
            "lane": clean(row.lane),
            "error_type": "",
            "error": clean(row.reason or ""),
            "attempts": row.attempts,
            "dead_at": row.at,
        }
        for row in endings
    ]


def _events(connection: Connection, keys: list[Key]) -> dict[Key, Row[Any]]:
    found: dict[Key, Row[Any]] = {}
    for some in chunks(keys):
        query = rows_of(connection, events, some, *_OF_EVENT)
        found |= {(row.received_at, row.event_id): row for row in connection.execute(query)}
    return found
