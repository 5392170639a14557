"""Take personal data out of the record, and leave what can be counted and compared."""

import hashlib
import hmac
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, and_, bindparam, or_, select, update

from ackfirst.shared.store.part import Key, StorePart, at_most, chunks, one_of, rows_of
from ackfirst.shared.store.results import Redacted
from ackfirst.shared.store.retention import ROWS_AT_ONCE
from ackfirst.shared.store.tables import attempts, audit, dead_letters, events, handler_errors, replays
from ackfirst.shared.store.texts import LONGEST_KEY, clean

#: What a hash begins with.
PREFIX: Final = "redacted:"
_HASH_LENGTH: Final = 32
#: Columns of an event that become a hash.
_HASHED: Final = ("sender", "recipient", "client_ref")
_KEY: Final = (events.c.received_at, events.c.event_id)


class Redaction(StorePart):
    """Removes personal data from rows that stay."""

    def redact(self, *, event_ids: Sequence[str] = (), number: str | None = None, key: bytes) -> Redacted:
        """Take personal data out of events: of these ids, and of all from or to a number. Safe to repeat.

        Body, query and texts become empty. Sender, recipient and client_ref become a keyed hash, by which equal values
        are still equal: without the key, the hash of a phone number is found by trying all numbers. States, times,
        prices and types of errors stay. A number is also taken out of the filters and texts of replays and the audit.
        """
        total = Redacted()
        for keys in self._events_of(event_ids, number):
            done = self._redact_events(keys, key)
            total = replace(
                done,
                events=total.events + done.events,
                attempts=total.attempts + done.attempts,
                dead_letters=total.dead_letters + done.dead_letters,
            )
        if number and not is_hash(number):
            total = replace(total, replays=self._redact_texts(number, hashed(number, key)))
        self._database.forget_deleted()
        return total

    def _events_of(self, event_ids: Sequence[str], number: str | None) -> Iterator[list[Key]]:
        for some in chunks(sorted({clean(one, LONGEST_KEY) for one in event_ids}), ROWS_AT_ONCE):
            with self._database.reading() as connection:
                mine = one_of(connection, events.c.event_id, some)
                found = connection.execute(select(*_KEY).where(mine)).all()
            for part in chunks([(row.received_at, row.event_id) for row in found], ROWS_AT_ONCE):
                yield list(part)
        number = "" if is_hash(number or "") else clean(number or "", LONGEST_KEY)
        mine = or_(events.c.sender == number, events.c.recipient == number)
        while number:
            with self._database.reading() as connection:
                found = connection.execute(at_most(select(*_KEY).where(mine), ROWS_AT_ONCE)).all()
            if not found:
                break
            yield [(row.received_at, row.event_id) for row in found]

    def _redact_events(self, keys: list[Key], key: bytes) -> Redacted:
        with self._database.writing() as connection:
            columns = [events.c[name] for name in (*_HASHED, "redacted_at")]
            rows = connection.execute(rows_of(connection, events, keys, *_KEY, *columns)).all()
            values = [
                {"received": row.received_at, "id": row.event_id, "now": row.redacted_at or time.time()}
                | {f"new_{name}": hashed(getattr(row, name), key) for name in _HASHED}
                for row in rows
            ]
            if not values:
                return Redacted()
            connection.execute(_EMPTIED, values)
            of_keys = [{"received": row.received_at, "id": row.event_id} for row in rows]
            ids = [row.event_id for row in rows]
            of_errors = update(handler_errors).where(one_of(connection, handler_errors.c.event_id, ids))
            connection.execute(of_errors.values(message=""))
            return Redacted(
                events=sum(row.redacted_at is None for row in rows),
                attempts=connection.execute(_ATTEMPTS_EMPTIED, of_keys).rowcount,
                dead_letters=connection.execute(_LETTERS_EMPTIED, of_keys).rowcount,
            )

    def _redact_texts(self, number: str, instead: str | None) -> int:
        """Replace a number in what operators wrote; return how many replays had it."""
        with self._database.writing() as connection:
            found = _replace_in(connection, replays, ("name", "reason", "filter", "note"), number, instead or "")
            _replace_in(connection, audit, ("subject", "detail"), number, instead or "")
        return found


def is_hash(value: str) -> bool:
    """Return whether a value stands for one that was redacted."""
    return value.startswith(PREFIX)


def hashed(value: str | None, key: bytes) -> str | None:
    """Return the keyed hash that stands for a value; None stays None, and a hash stays itself."""
    if value is None or is_hash(value):
        return value
    return PREFIX + hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:_HASH_LENGTH]


def _of_key(table: Table) -> ColumnElement[bool]:
    return and_(table.c.received_at == bindparam("received"), table.c.event_id == bindparam("id"))


_EMPTIED: Final = (
    update(events)
    .where(_of_key(events))
    .values(
        body=b"", query=b"", reason=None, redacted_at=bindparam("now"), **{n: bindparam(f"new_{n}") for n in _HASHED}
    )
)
_ATTEMPTS_EMPTIED: Final = (
    update(attempts)
    .where(_of_key(attempts), or_(attempts.c.message.is_not(None), attempts.c.returned.is_not(None)))
    .values(message=None, returned=None)
)
_LETTERS_EMPTIED: Final = update(dead_letters).where(_of_key(dead_letters), dead_letters.c.error != "").values(error="")


def _replace_in(connection: Connection, table: Table, names: Sequence[str], old: str, new: str) -> int:
    has_it = or_(*(table.c[name].contains(old, autoescape=True) for name in names))
    rows: Sequence[Any] = connection.execute(select(table).where(has_it)).mappings().all()
    for row in rows:
        changed = {name: row[name].replace(old, new) for name in names}
        connection.execute(update(table).where(table.c.id == row["id"]).values(changed))
    return len(rows)
