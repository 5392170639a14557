"""Turn entries of the stream into the rows of the store. Pure: the jobs' data comes in."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ackfirst.shared.errors import EnvelopeError
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.identity import is_event_id
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.record import RecordedOutcome, RecordedRequest, RecordEntry
from ackfirst.shared.replay.mover import REPLAYED
from ackfirst.shared.store import Arrival, Batch, Ending, Gap, Request
from ackfirst.shared.store.arrival import arrival_of, attempts_of
from ackfirst.workers.engine.fetched_job import envelope_of
from ackfirst.workers.recorder.stream import Release

#: Ending of a pass → state of the event from then on, where that is another word.
STATES: Final = {"retried": "retrying", "rescued": "waiting", REPLAYED: "waiting"}
#: Endings after which the job is in RQ's registry of finished ones.
FINISHED: Final = frozenset({"processed", "unhandled", "discarded"})
#: Reason of a gap whose job had been deleted, or had expired, when its entry was read.
JOB_GONE: Final = "their jobs were gone before they were recorded"

_FAMILIES: Final = {family.facts.letter: family.value for family in Family}


def arrivals_of(entries: Iterable[RecordEntry]) -> list[str]:
    """List the ids of new events, each once."""
    return list(dict.fromkeys(event_id for entry in entries for event_id in entry.arrived))


def ended_of(entries: Iterable[RecordEntry], arrived: Sequence[str]) -> list[str]:
    """List the ids of events with an outcome that do not arrive in these entries."""
    known = set(arrived)
    ids = (outcome.event_id for entry in entries for outcome in entry.outcomes)
    return [event_id for event_id in dict.fromkeys(ids) if event_id not in known and is_event_id(event_id)]


def batch_of(entries: Sequence[RecordEntry], calls: Mapping[str, bytes], *, after: str) -> tuple[Batch, Release]:
    """Build what is written for entries, and what may be let go of afterwards.

    Args:
        entries: At least one.
        calls: Event id → data of its job, for each arrival whose job is still there, and for each event that has ended
            whose arrival is in no entry.
        after: The store's position.
    """
    arrived = arrivals_of(entries)
    arrivals = [row for event_id in calls if (row := _arrival(calls[event_id])) is not None]
    received = {row.event_id: row.received_at for row in arrivals}
    outcomes = [one for entry in entries for one in entry.outcomes if is_event_id(one.event_id)]
    gone = sum(event_id not in calls for event_id in arrived)
    gaps = [Gap(entries[0].at, entries[-1].at, gone, JOB_GONE)] if gone else []
    gaps += [_gap(entry) for entry in entries if entry.gap is not None]
    batch = Batch(
        position=entries[-1].id,
        after=after,
        arrivals=arrivals,
        attempts=[row for one in outcomes for row in attempts_of(one, received_at=received.get(one.event_id, 0.0))],
        endings=[_ending(one, received) for one in outcomes],
        requests=[row for entry in entries for row in _requests(entry)],
        gaps=gaps,
    )
    known = set(arrived)
    return batch, Release(
        position=entries[-1].id,
        finished=finished_of(entries),
        late=[event_id for event_id in calls if event_id not in known],
        acknowledged=next((entry.acknowledged for entry in reversed(entries) if entry.acknowledged is not None), None),
        recorded=len(arrivals),
        gap=gone,
    )


def finished_of(entries: Iterable[RecordEntry]) -> list[tuple[str, str]]:
    """List lane and id of each job that has finished."""
    return [(one.lane, one.event_id) for entry in entries for one in entry.outcomes if one.ending in FINISHED]


def _arrival(data: bytes) -> Arrival | None:
    """Read the event in a job's data; None if it is no job of ours."""
    written = envelope_of(data)
    if written is None:
        return None
    try:
        return arrival_of(Envelope.decode(written))
    except EnvelopeError:
        return None


def _ending(outcome: RecordedOutcome, received: Mapping[str, float]) -> Ending:
    received_at = outcome.received_at or received.get(outcome.event_id, 0.0)
    return Ending(
        event_id=outcome.event_id,
        received_at=received_at,
        lane=outcome.lane,
        state=STATES.get(outcome.ending, outcome.ending),
        # Ingest's clock may be ahead of the workers': an end before the arrival would never become the event's state.
        at=max(outcome.ended, received_at),
        attempts=outcome.attempt,
        reason=outcome.reason,
    )


def _requests(entry: RecordEntry) -> Iterable[Request]:
    for event_id in entry.repeated:
        family = _FAMILIES.get(event_id[:1])
        yield Request(at=entry.at, kind="duplicate", event_id=event_id, family=family, verdict="duplicate")
    if entry.quarantined is not None:
        yield _request("quarantined", entry.quarantined)
    if entry.refused is not None:
        yield _request("refused", entry.refused)


def _request(kind: str, request: RecordedRequest) -> Request:
    return Request(
        at=request.at,
        kind=kind,
        account=request.account,
        application_id=request.application_id,
        family=request.family,
        verdict=request.verdict,
        reason=request.reason,
        count=request.count,
    )


def _gap(entry: RecordEntry) -> Gap:
    found = entry.gap or {}
    return Gap(float(found["from"]), float(found["to"]), int(found["count"]), str(found["reason"]))
