"""Collect all that is known of one message, from the record and from the queue, as one timeline."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from redis.exceptions import RedisError

from ackfirst.ops.record.backlog import Backlog, Unrecorded
from ackfirst.ops.record.live import LiveEvent, LiveQueue
from ackfirst.ops.record.quarantined import quarantined
from ackfirst.ops.record.steps import Pending, Step, steps_of
from ackfirst.shared.record import field_names, named_record
from ackfirst.shared.store import Store, StoreUnavailableError
from ackfirst.shared.store.rows import FINAL_STATES, Arrival, Attempt, EventRow, Request

#: Events of one message that are shown. A message has a handful; a client_ref may be on any number of them.
MOST_EVENTS: Final = 100


@named_record
class Timeline:
    """All that is known of one message."""

    key: str
    """What was asked for."""
    events: Sequence[EventRow]
    """Its events, oldest first; their states as of now."""
    steps: Sequence[Step]
    """What happened to them, oldest first."""
    pending: Mapping[str, Pending]
    """Event id → what Redis knows of it now."""
    notes: Sequence[str]
    """What could not be read, or was left out: one sentence each."""
    seen: int = 0
    """Of a message without any event: how many of its events Redis remembers to have queued within the last days."""


def timeline(key: str, store: Store | None, live: LiveQueue | None) -> Timeline:
    """Collect the timeline of a message.

    Args:
        key: A message uuid, an SMS ``messageId``, an event id, or a ``client_ref``.
        store: The record; None if it is off.
        live: The queue; None to answer from the record alone.
    """
    notes: list[str] = []
    rows, attempts, requests, position = _recorded(key, store, notes)
    found: dict[str, LiveEvent] = {}
    unrecorded = Unrecorded()
    seen = 0
    if live is not None:
        try:
            ids = list(dict.fromkeys([*(row.event_id for row in rows), *live.events_of(key)]))
            if position is not None:
                unrecorded = Backlog(live.redis).read(key, ids, after=position)
            found = live.look([*ids, *unrecorded.event_ids])
            requests += [*unrecorded.requests, *quarantined(live.redis, key, notes)]
            if not rows and not found:
                seen = len(live.seen(ids))
        except RedisError as error:
            notes.append(f"Redis does not answer ({error}): what it knows of the newest events is missing")
        if unrecorded.is_cut:
            notes.append("the record is far behind: attempts of the last minutes may be missing")
    events = _merged(rows, found)
    if len(rows) >= MOST_EVENTS:
        notes.append(f"only the newest {MOST_EVENTS} events are shown")
    event_ids = frozenset(event.event_id for event in events)
    pending = {one: live_event.pending for one, live_event in found.items()}
    steps = steps_of(
        events,
        attempts,
        requests,
        pending,
        unrecorded_attempts=unrecorded.attempts,
        unrecorded_arrivals=event_ids - {row.event_id for row in rows if row.recorded_at is not None},
        unrecorded_ends=event_ids - {row.event_id for row in rows if row.state in FINAL_STATES},
    )
    return Timeline(
        key=key,
        events=events,
        steps=steps,
        pending=pending,
        notes=notes,
        seen=seen,
    )


def _recorded(
    key: str, store: Store | None, notes: list[str]
) -> tuple[list[EventRow], list[Attempt], list[Request], str | None]:
    if store is None:
        notes.append("without the record only what Redis still holds is shown")
        return [], [], [], None
    try:
        rows = store.message(key, limit=MOST_EVENTS)
        ids = [row.event_id for row in rows]
        return list(rows), list(store.attempts(ids)), list(store.requests(ids)), store.position()
    except StoreUnavailableError as error:
        notes.append(f"{error}: only what Redis still holds is shown")
        return [], [], [], None


def _merged(rows: Iterable[EventRow], found: Mapping[str, LiveEvent]) -> list[EventRow]:
    """Put the states that Redis has into the record's rows, and add the events that only Redis has."""
    events: dict[str, EventRow] = {}
    older: list[EventRow] = []
    for row in sorted(rows, key=lambda row: row.received_at):
        if row.event_id in events:  # sent again after days: Redis knows the newer one only
            older.append(events[row.event_id])
        events[row.event_id] = row
    for one, live in found.items():
        events[one] = _current(events[one], live) if one in events else live.event
    return sorted([*older, *events.values()], key=lambda event: event.received_at)


def _current(row: EventRow, live: LiveEvent) -> EventRow:
    event = live.event
    if row.recorded_at is None:  # its attempts are recorded, its arrival is not
        row = replace(row, **{name: getattr(event, name) for name in field_names(Arrival)})
    if event.state in FINAL_STATES and row.state in FINAL_STATES:
        return row
    return replace(
        row,
        state=event.state,
        state_at=event.state_at or row.state_at,
        ended_at=event.ended_at,
        attempts=max(row.attempts, event.attempts),
        error=event.error or row.error,
    )
