"""Add a batch to the counts by minute and by hour, in the batch's own transaction."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, case

from ackfirst.shared.store.part import insert
from ackfirst.shared.store.rows import Arrival, Attempt, Batch
from ackfirst.shared.store.tables import applications, counts, handler_counts, handler_errors
from ackfirst.shared.store.texts import LONGEST_KEY, clean

#: Lengths of a point in seconds: minutes for a few hours, hours for longer spans.
STEPS: Final = (60, 3_600)
#: Upper bounds of the histogram of provider lag, seconds. The last one holds everything above as well.
LAG_BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0)
#: The same of handlers' seconds.
SECONDS_BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)


def bucket(value: float, bounds: tuple[float, ...]) -> float:
    """Return the upper bound of the bucket of a value."""
    return bounds[min(bisect_left(bounds, value), len(bounds) - 1)]


def add_to_rollups(connection: Connection, batch: Batch) -> None:
    """Count everything in a batch. Only for a batch that was not written before: this adds."""
    _add_counts(connection, batch)
    _add_handlers(connection, batch.attempts)
    _note_applications(connection, batch.arrivals)
    _note_errors(connection, batch.attempts)


def _add_counts(connection: Connection, batch: Batch) -> None:
    found: Counter[tuple[int, int, str, str]] = Counter()

    def count(at: float, kind: str, name: str, n: int = 1) -> None:
        for step in STEPS:
            found[step, int(at // step) * step, kind, clean(name, LONGEST_KEY)] += n

    for row in batch.arrivals:
        count(row.received_at, "family", row.family)
        if row.occurred_at is not None:
            count(row.received_at, "lag", str(bucket(row.received_at - row.occurred_at, LAG_BOUNDS)))
    for ending in batch.endings:
        count(ending.at, "outcome", ending.state)
    for request in batch.requests:
        count(request.at, "request", request.kind, request.count)
        if request.verdict:
            count(request.at, "verdict", request.verdict, request.count)
    if not found:
        return
    statement = insert(connection, counts)
    statement = statement.on_conflict_do_update(
        index_elements=["step", "at", "kind", "name"], set_={"n": counts.c.n + statement.excluded.n}
    )
    values = [dict(zip(("step", "at", "kind", "name"), key, strict=True), n=found[key]) for key in sorted(found)]
    connection.execute(statement, values)


def _add_handlers(connection: Connection, attempts: Iterable[Attempt]) -> None:
    found: dict[tuple[int, int, str, float], dict[str, Any]] = {}
    for row in attempts:
        bound, handler = bucket(row.seconds, SECONDS_BOUNDS), clean(row.handler, LONGEST_KEY)
        for step in STEPS:
            key = (step, int(row.started // step) * step, handler, bound)
            names = dict(zip(("step", "at", "handler", "bucket"), key, strict=True))
            values = found.setdefault(key, {**names, "runs": 0, "failures": 0, "seconds": 0.0})
            values["runs"] += 1
            values["failures"] += row.ending in ("retry", "dead")
            values["seconds"] += row.seconds
    if not found:
        return
    statement = insert(connection, handler_counts)
    given, table = statement.excluded, handler_counts.c
    statement = statement.on_conflict_do_update(
        index_elements=["step", "at", "handler", "bucket"],
        set_={
            "runs": table.runs + given.runs,
            "failures": table.failures + given.failures,
            "seconds": table.seconds + given.seconds,
        },
    )
    connection.execute(statement, [found[key] for key in sorted(found)])


def _note_applications(connection: Connection, arrivals: Iterable[Arrival]) -> None:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in arrivals:
        key = (clean(row.account or "", LONGEST_KEY), clean(row.application_id or "", LONGEST_KEY))
        empty = {"account": key[0], "application_id": key[1], "last_at": 0.0, "n": 0}
        values = found.setdefault(key, empty)
        values["last_at"] = max(values["last_at"], row.received_at)
        values["n"] += 1
    if not found:
        return
    statement = insert(connection, applications)
    given, table = statement.excluded, applications.c
    newest = case((given.last_at > table.last_at, given.last_at), else_=table.last_at)
    statement = statement.on_conflict_do_update(
        index_elements=["account", "application_id"], set_={"last_at": newest, "n": table.n + given.n}
    )
    connection.execute(statement, [found[key] for key in sorted(found)])


def _note_errors(connection: Connection, attempts: Iterable[Attempt]) -> None:
    found: dict[str, dict[str, Any]] = {}
    for row in attempts:
        if row.ending not in ("retry", "dead"):
            continue
        handler = clean(row.handler, LONGEST_KEY)
        if handler not in found or found[handler]["at"] <= row.started + row.seconds:
            found[handler] = {
                "handler": handler,
                "at": row.started + row.seconds,
                "event_id": clean(row.event_id, LONGEST_KEY),
                "error_type": clean(row.error_type or ""),
                "message": clean(row.message or ""),
            }
    if not found:
        return
    statement = insert(connection, handler_errors)
    given = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["handler"],
        set_={name: given[name] for name in ("at", "event_id", "error_type", "message")},
        where=given.at >= handler_errors.c.at,
    )
    connection.execute(statement, [found[key] for key in sorted(found)])
