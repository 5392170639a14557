"""Write batches of the stream: one transaction each, which may be repeated."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select, update

from ackfirst.shared.errors import AckfirstError
from ackfirst.shared.store.dead_letter_writes import update_dead_letters
from ackfirst.shared.store.event_writes import write_attempts, write_events, write_requests
from ackfirst.shared.store.part import StorePart, chunks, one_of
from ackfirst.shared.store.partitions import days_of, make_partitions
from ackfirst.shared.store.rollup_writes import add_to_rollups
from ackfirst.shared.store.rows import Attempt, Batch, Ending, Gap
from ackfirst.shared.store.tables import events, gaps, progress
from ackfirst.shared.store.texts import clean

_OfEvent = TypeVar("_OfEvent", Attempt, Ending)


class StaleBatchError(AckfirstError):
    """Another writer has moved the position since the batch was read: read again from ``position()``."""


class Recording(StorePart):
    """Writes what the recorder has read from the stream."""

    def write(self, batch: Batch) -> None:
        """Write a batch and its position in one transaction.

        A batch that was written before, for example when the answer to its commit was lost, changes nothing.

        Raises:
            StaleBatchError: It holds entries that another writer has written meanwhile, and others that it has not.
            StoreUnavailableError: It may or may not have been written: write it again.
        """
        with self._database.writing() as connection:
            row = connection.execute(select(progress.c.position, progress.c.recorded_at).with_for_update()).one()
            if row.position != batch.after and _number(row.position) >= _number(batch.position):
                return
            if batch.after not in (None, row.position):
                raise StaleBatchError(f"the record is at {row.position}, the batch begins after {batch.after}")
            recorded_at = max(time.time(), row.recorded_at + 1e-6)  # ``follow`` reads in this order: always ahead
            batch = _with_known_times(connection, batch)
            if self._database.is_postgresql:
                make_partitions(connection, days_of(batch))
            write_events(connection, batch, recorded_at)
            write_attempts(connection, batch.attempts)
            write_requests(connection, batch.requests)
            update_dead_letters(connection, batch)
            add_to_rollups(connection, batch)
            if batch.gaps:
                connection.execute(gaps.insert(), [_gap_values(gap) for gap in batch.gaps])
            connection.execute(update(progress).values(position=batch.position, recorded_at=recorded_at))

    def position(self) -> str:
        """Return the position of the newest batch; ``0-0`` before the first one."""
        with self._database.reading() as connection:
            return str(connection.execute(select(progress.c.position)).scalar_one())

    def note_gap(self, gap: Gap) -> None:
        """Record that events of a time are missing."""
        with self._database.writing() as connection:
            connection.execute(gaps.insert().values(_gap_values(gap)))

    def gaps(self, since: float) -> list[Gap]:
        """List the gaps that end after a time, oldest first, at most 1,000."""
        found = select(gaps).where(gaps.c.to_at >= since).order_by(gaps.c.from_at, gaps.c.id).limit(1_000)
        with self._database.reading() as connection:
            return [Gap(row.from_at, row.to_at, row.n, row.reason) for row in connection.execute(found)]


def _gap_values(gap: Gap) -> dict[str, Any]:
    return {"from_at": gap.from_at, "to_at": gap.to_at, "n": gap.count, "reason": clean(gap.reason)}


def _number(position: str) -> tuple[int, int]:
    milliseconds, _, sequence = position.partition("-")
    return int(milliseconds), int(sequence or 0)


def _with_known_times(connection: Connection, batch: Batch) -> Batch:
    """Fill in ``received_at`` where it is not known: from the batch, else the store, else the row's own time."""
    rows: list[Attempt | Ending] = [*batch.attempts, *batch.endings]
    unknown = {row.event_id for row in rows if not row.received_at > 0}
    if not unknown:
        return batch
    known: dict[str, float] = {}
    for ending in batch.endings:
        known.setdefault(ending.event_id, ending.at)
    for attempt in batch.attempts:
        known.setdefault(attempt.event_id, attempt.started)
    newest = func.max(events.c.received_at)
    for ids in chunks(sorted(unknown)):
        mine = one_of(connection, events.c.event_id, ids)
        found = select(events.c.event_id, newest).where(mine).group_by(events.c.event_id)
        known.update({row[0]: row[1] for row in connection.execute(found)})
    known.update({row.event_id: row.received_at for row in batch.arrivals})
    return replace(
        batch,
        attempts=[_with_time(row, known) for row in batch.attempts],
        endings=[_with_time(row, known) for row in batch.endings],
    )


def _with_time(row: _OfEvent, known: Mapping[str, float]) -> _OfEvent:
    changes: dict[str, Any] = {} if row.received_at > 0 else {"received_at": known[row.event_id]}
    return replace(row, **changes)
