"""Turn what the record and the queue know of a message into the steps of one timeline. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from ackfirst.shared.record import field_names, named_record
from ackfirst.shared.store.rows import FINAL_STATES, Attempt, EventRow, Request

#: Two times of the same attempt, one of which was rounded on its way, differ by less than this.
_SAME_SECONDS: Final = 0.01


class Kind(StrEnum):
    """The kinds of steps. Steps of the same moment are shown in this order."""

    RECEIVED = "received"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    REPLAYED = "replayed"
    ATTEMPT = "attempt"
    RETRY = "retry"
    DEAD = "dead"
    ENDED = "ended"


class Source(StrEnum):
    """The place where a step was read."""

    RECORD = "record"
    QUEUE = "queue"
    """Redis: not in the record yet, or never."""


@named_record
class Step:
    """One thing that happened to an event of a message."""

    at: float
    kind: Kind
    event_id: str | None
    handler: str | None = None
    attempt: int | None = None
    """Number of an attempt, 1 for the first; of a retry the number of the attempt that is to come."""
    seconds: float | None = None
    """How long an attempt took."""
    ending: str | None = None
    """Of an attempt ``done``, ``discarded``, ``retry`` or ``dead``; of the end the event's state."""
    error: str | None = None
    """Type and masked message of an error."""
    returned: str | None = None
    """Text that the handler returned."""
    worker: str | None = None
    lag: float | None = None
    """Seconds from the provider's time of the event to its arrival."""
    due_at: float | None = None
    """When a retry is due that has not begun."""
    family: str | None = None
    status: str | None = None
    lane: str | None = None
    verdict: str | None = None
    reason: str | None = None
    count: int | None = None
    """How many callbacks this step stands for, if it is more than one."""
    replay: str | None = None
    source: Source = Source.RECORD

    def as_dict(self) -> dict[str, Any]:
        """Return the fields that apply; ``at`` and ``due_at`` in Unix seconds."""
        fields = {name: getattr(self, name) for name in field_names(Step)}
        return {name: value for name, value in fields.items() if value is not None or name == "event_id"}


@named_record
class Pending:
    """The state in Redis of an event that is not finished, or not recorded."""

    event_id: str
    state: str
    """``waiting``, ``running``, ``retrying``, ``dead``, or a state in which the event has ended."""
    since: float | None = None
    """Since when, if Redis says."""
    due: Mapping[str, tuple[int, float]]
    """Handler → number and time of its next attempt, of those that wait for one."""
    due_at: float | None = None
    """When the event goes back to its lane."""
    dead: Mapping[str, str]
    """Handler → error, of those that failed for good; empty name if no handler is to blame."""
    worker: str | None = None
    """The worker that runs it."""
    replay: tuple[str, float] | None = None
    """Id of the replay that has queued it, and when."""


def steps_of(
    events: Sequence[EventRow],
    attempts: Iterable[Attempt],
    requests: Iterable[Request],
    pending: Mapping[str, Pending],
    *,
    unrecorded_attempts: Iterable[Attempt] = (),
    unrecorded_arrivals: frozenset[str] = frozenset(),
    unrecorded_ends: frozenset[str] = frozenset(),
) -> list[Step]:
    """Make the timeline of some events, oldest step first.

    Args:
        events: The events, each once.
        attempts: Their attempts in the record.
        requests: Their duplicates, and callbacks of the message that were refused or quarantined.
        pending: Event id → what Redis knows of it now.
        unrecorded_attempts: Attempts that wait for the recorder; some may be in the record meanwhile.
        unrecorded_arrivals: Ids of events whose arrival only Redis knows.
        unrecorded_ends: Ids of events whose end, if they have one, only Redis knows.
    """
    in_record, in_queue = _by_event(attempts), _by_event(unrecorded_attempts)
    steps = [_of_request(request) for request in requests]
    for event in events:
        now = pending.get(event.event_id)
        recorded = _distinct(in_record[event.event_id])
        queued = _distinct(in_queue[event.event_id], besides=recorded)
        mine = sorted([*recorded, *queued], key=_order)
        if event.received_at:
            steps.append(_of_arrival(event, Source.QUEUE if event.event_id in unrecorded_arrivals else Source.RECORD))
        steps += _of_attempts(event, mine, now, queued)
        steps += _of_end(event, mine, now, Source.QUEUE if event.event_id in unrecorded_ends else Source.RECORD)
    order = list(Kind)
    received = {event.event_id: event.received_at for event in events}
    return sorted(
        steps, key=lambda step: (max(step.at, received.get(step.event_id or "", 0.0)), order.index(step.kind))
    )


def _of_arrival(event: EventRow, source: Source) -> Step:
    return Step(
        at=event.received_at,
        kind=Kind.RECEIVED,
        event_id=event.event_id,
        lag=None if event.occurred_at is None else event.received_at - event.occurred_at,
        family=event.family or None,
        status=event.status,
        lane=event.lane or None,
        source=source,
    )


def _of_attempts(
    event: EventRow, attempts: Sequence[Attempt], now: Pending | None, queued: Sequence[Attempt]
) -> Iterator[Step]:
    newest = {attempt.handler: attempt for attempt in attempts}
    replays: set[str] = set()
    if now and now.replay:
        replay, at = now.replay
        replays.add(replay)
        yield Step(at=at, kind=Kind.REPLAYED, event_id=event.event_id, replay=replay, source=Source.QUEUE)
    for attempt in attempts:
        source = Source.QUEUE if attempt in queued else Source.RECORD
        if attempt.replay and attempt.replay not in replays:
            replays.add(attempt.replay)
            yield Step(
                at=attempt.started,
                kind=Kind.REPLAYED,
                event_id=event.event_id,
                replay=attempt.replay,
                source=source,
            )
        ended = attempt.started + attempt.seconds
        error = error_text(attempt.error_type, attempt.message)
        yield Step(
            at=attempt.started,
            kind=Kind.ATTEMPT,
            event_id=event.event_id,
            handler=attempt.handler,
            attempt=attempt.number,
            seconds=attempt.seconds,
            ending=attempt.ending,
            error=error,
            returned=attempt.returned,
            worker=attempt.worker or None,
            replay=attempt.replay,
            source=source,
        )
        if attempt.ending == "retry":
            due = now.due.get(attempt.handler) if now and newest[attempt.handler] is attempt else None
            yield Step(
                at=ended,
                kind=Kind.RETRY,
                event_id=event.event_id,
                handler=attempt.handler,
                attempt=attempt.number + 1,
                due_at=_due_at(due, now) if due else None,
                source=Source.QUEUE if due else source,
            )
        elif attempt.ending == "dead":
            yield Step(
                at=ended,
                kind=Kind.DEAD,
                event_id=event.event_id,
                handler=attempt.handler,
                attempt=attempt.number,
                error=error,
                source=source,
            )
    known = {attempt.handler for attempt in attempts}
    for handler, due in (now.due if now else {}).items():
        if handler not in known:  # the record is off, or behind: the attempts before it are only counted
            yield Step(
                at=(now.since if now else None) or event.received_at,
                kind=Kind.RETRY,
                event_id=event.event_id,
                handler=handler,
                attempt=due[0],
                due_at=_due_at(due, now),
                source=Source.QUEUE,
            )


def _of_end(event: EventRow, attempts: Sequence[Attempt], now: Pending | None, source: Source) -> Iterator[Step]:
    state, at = event.state, event.state_at
    if now is not None and (now.state != state or not at):
        state, at, source = now.state, now.since or event.received_at, Source.QUEUE
    # A worker's clock is corrected now and then: the end must not stand before the attempt that led to it.
    at = max([at, *(attempt.started + attempt.seconds for attempt in attempts)])
    if state == "dead":
        blamed = {attempt.handler for attempt in attempts if attempt.ending == "dead"}
        for handler, error in (now.dead if now else {}).items():
            if handler not in blamed:
                blamed.add(handler)
                yield Step(
                    at=at,
                    kind=Kind.DEAD,
                    event_id=event.event_id,
                    handler=handler or None,
                    error=error or None,
                    source=Source.QUEUE,
                )
        if not blamed:
            yield Step(at=at, kind=Kind.DEAD, event_id=event.event_id, error=event.error or event.reason, source=source)
    elif state in FINAL_STATES:
        yield Step(
            at=at, kind=Kind.ENDED, event_id=event.event_id, ending=state, reason=event.reason or None, source=source
        )


def _of_request(request: Request) -> Step:
    return Step(
        at=request.at,
        kind=Kind(request.kind),
        event_id=request.event_id,
        family=request.family,
        verdict=request.verdict,
        reason=request.reason,
        count=request.count if request.count > 1 else None,
    )


def _due_at(due: tuple[int, float], now: Pending | None) -> float | None:
    """Return when an attempt can begin: not before the event is back in its lane."""
    return max(due[1], (now.due_at if now else None) or 0.0) or None


def _by_event(attempts: Iterable[Attempt]) -> Mapping[str, list[Attempt]]:
    found: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        found[attempt.event_id].append(attempt)
    return found


def _distinct(attempts: Iterable[Attempt], *, besides: Sequence[Attempt] = ()) -> list[Attempt]:
    """Keep each attempt of an event once, and none that is in ``besides``."""
    kept: list[Attempt] = []
    for attempt in sorted(attempts, key=_order):
        if not any(_is_same(attempt, one) for one in (*besides, *kept)):
            kept.append(attempt)
    return kept


def _order(attempt: Attempt) -> tuple[float, int]:
    return attempt.started, attempt.number


def _is_same(one: Attempt, other: Attempt) -> bool:
    return (
        one.handler == other.handler and one.number == other.number and abs(one.started - other.started) < _SAME_SECONDS
    )


def error_text(kind: str | None, message: str | None) -> str | None:
    """Write an error as ``TimeoutError: the message``."""
    return ": ".join(part for part in (kind, message) if part) or None
