"""Turn recorded events into the moves of a replay."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.job import job_data
from ackfirst.shared.replay.job_field import JobReplay
from ackfirst.shared.replay.mover import Move
from ackfirst.shared.replay.selection import Selection
from ackfirst.shared.store import Attempt, Cursor, EventRow, Replay, Store
from ackfirst.workers.processing.marks import Mark, State

_KEPT: Final = (State.DONE, State.DISCARDED, State.DEAD)


def read_page(store: Store, selection: Selection, cursor: str, limit: int) -> list[tuple[str, EventRow]]:
    """Read the next events of a selection, with the cursor behind each. Empty at the end."""
    if selection.events:
        page: list[tuple[str, EventRow]] = []
        for number, event_id in enumerate(selection.events[int(cursor or 0) :], int(cursor or 0) + 1):
            rows = [row for row in store.message(event_id) if row.event_id == event_id]
            if rows:  # else retention has removed it meanwhile
                page.append((str(number), max(rows, key=lambda row: row.received_at)))
            if len(page) == limit:
                break
        return page
    rows = store.resolve(selection.filter, Cursor.parse(cursor) if cursor else None, limit)
    return [(str(Cursor(row.received_at, row.event_id)), row) for row in rows]


def moves_of(store: Store, replay: Replay, page: Sequence[tuple[str, EventRow]]) -> list[Move]:
    """Decide for each event which handlers run."""
    asked = tuple(replay.handlers.split(",")) if replay.handlers else None
    dead = [row.event_id for _, row in page if row.state == "dead"]
    newest = _newest(store.attempts(dead)) if dead else {}
    return [_move(replay, asked, cursor, row, newest.get(row.event_id, {})) for cursor, row in page]


def _move(
    replay: Replay, asked: tuple[str, ...] | None, cursor: str, row: EventRow, newest: Mapping[str, Attempt]
) -> Move:
    handlers = asked
    if handlers is None and row.state == "dead":
        # None if no handler failed, for example because the event killed its workers: all run that did not finish.
        handlers = tuple(name for name, attempt in newest.items() if attempt.ending == State.DEAD) or None
    passed_over = _passed_over(replay, row)
    return Move(
        event_id=row.event_id,
        lane=row.lane,
        received_at=row.received_at,
        cursor=cursor,
        replay=JobReplay(replay.id, handlers, replay.fresh, row.state),
        data=b"" if passed_over else job_data(_envelope(row)),
        description=row.family,
        marks={} if handlers is None and row.state != "dead" else _marks(newest, handlers),
        passed_over=passed_over,
    )


def _passed_over(replay: Replay, row: EventRow) -> str:
    if row.redacted_at is not None:
        return "redacted"
    if row.recorded_at is None:
        return "no_body"
    return "ended_since" if row.ended_at is not None and row.ended_at > replay.created_at else ""


def _newest(attempts: Iterable[Attempt]) -> dict[str, dict[str, Attempt]]:
    """Return the newest attempt by event and handler."""
    found: dict[str, dict[str, Attempt]] = {}
    for attempt in attempts:
        of_event = found.setdefault(attempt.event_id, {})
        known = of_event.get(attempt.handler)
        if known is None or known.started <= attempt.started:
            of_event[attempt.handler] = attempt
    return found


def _marks(newest: Mapping[str, Attempt], handlers: tuple[str, ...] | None) -> dict[str, str]:
    """Return the marks of the handlers that are not to run.

    They are as in a dead letter that Redis still has. A dead handler that is left out keeps the event a dead letter.
    """
    kept = {}
    for name, attempt in newest.items():
        runs = handlers is not None and name in handlers
        if not runs and attempt.ending in _KEPT:
            kept[name] = Mark(State(attempt.ending), attempt.number).encode().decode()
    return kept


def _envelope(row: EventRow) -> Envelope:
    """Build the envelope that the event had, without the evidence of its token."""
    return Envelope(
        id=row.event_id,
        family=row.family,
        account=row.account,
        application_id=row.application_id,
        lane=row.lane,
        message_id=row.message_id,
        received_at=row.received_at,
        encoding=cast("Any", row.encoding),
        content_type=row.content_type,
        body=row.body,
        query=row.query,
        trace=row.trace,
    )
