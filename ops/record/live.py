"""Read from Redis what it knows of events and the record does not yet: their jobs, marks, retries and dead letters.

Everything here reads only, and says what is true at this moment, with the record off, behind or up to date.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from redis import Redis

from ackfirst.ops.record.job_parts import (
    failures,
    read_envelope,
    read_mark,
    read_result,
    returned_state,
    unix,
)
from ackfirst.ops.record.steps import Pending
from ackfirst.shared import masking
from ackfirst.shared.nexmo.failure import RECEIPT_MEANINGS
from ackfirst.shared.nexmo.family import Family, Product
from ackfirst.shared.nexmo.identity import event_id, is_event_id
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import DEDUPE_SECONDS, PERIODS, period, place
from ackfirst.shared.queue.failed_result import traceback_of
from ackfirst.shared.record import field_names, named_record
from ackfirst.shared.replay.job_field import JobReplay
from ackfirst.shared.store.arrival import arrival_of
from ackfirst.shared.store.rows import FINAL_STATES, Arrival, EventRow

T = TypeVar("T")

#: Events that one round trip asks for.
PAGE: Final = 200

#: Accounts for which the ids of a message's events are worked out; the events of further ones are found in the record.
MOST_ACCOUNTS: Final = 50

#: Statuses that callbacks are known to have; an event with another one is found in the record.
_MESSAGE_STATUSES: Final = ("submitted", "delivered", "read", "seen", "rejected", "undeliverable")
_RECEIPT_STATUSES: Final = ("accepted", "buffered", "delivered", "expired", "failed", "rejected", "unknown")
_RECEIPT_CODES: Final = ("", "0", *RECEIPT_MEANINGS)

_FIELDS: Final = (
    "status", "origin", "data", "created_at", "enqueued_at", "started_at", "ended_at", "worker_name", keys.REPLAY,
)  # fmt: skip

#: RQ's status of a job → the state that we show.
_STATES: Final = {"queued": "waiting", "started": "running", "scheduled": "retrying", "failed": "dead"}


@named_record
class LiveEvent:
    """An event whose job is in Redis."""

    event: EventRow
    """As the record would have it; its state is that of the job."""
    pending: Pending
    error: str | None
    """All of RQ's newest traceback, with numbers masked."""
    expires_at: float | None
    """When RQ lets go of a dead letter."""


class LiveQueue:
    """Reads the queue. Every method raises ``RedisError`` when Redis does not answer.

    ``accounts`` are the API keys of the configured accounts: an event's id depends on its account.
    """

    def __init__(self, redis: Redis, *, accounts: Iterable[str] = ()) -> None:
        self.redis = redis
        self._accounts = (*list(accounts)[:MOST_ACCOUNTS], None)

    def events_of(self, key: str) -> list[str]:
        """List the ids that events have by this key: an event id itself, or those that a message's events would have.

        An event's id is a hash of its account, message id and status, so it can be worked out.
        """
        if is_event_id(key):
            return [key]
        return [one for account in self._accounts for one in _ids_of_message(key, account)]

    def look(self, event_ids: Iterable[str]) -> dict[str, LiveEvent]:
        """Read the jobs of these events; those without one are left out."""
        found: dict[str, LiveEvent] = {}
        for page in pages(dict.fromkeys(event_ids), PAGE):
            found.update(self._page(page))
        return found

    def seen(self, event_ids: Iterable[str]) -> set[str]:
        """Return which of these events Redis remembers to have queued, within 72 to 96 hours."""
        seconds = period(DEDUPE_SECONDS)
        now: Any = self.redis.time()
        numbers = range(int(now[0]) // seconds - PERIODS, int(now[0]) // seconds + 2)
        found: set[str] = set()
        for page in pages(dict.fromkeys(event_ids), PAGE):
            with self.redis.pipeline(transaction=False) as pipeline:
                for one in page:
                    bucket, member = place(one)
                    for number in numbers:
                        pipeline.sismember(keys.seen(seconds, number, bucket), member)
                answers = pipeline.execute(raise_on_error=False)
            for one, remembered in zip(page, pages(answers, len(numbers)), strict=True):
                if any(answer == 1 for answer in remembered):
                    found.add(one)
        return found

    def _page(self, page: Sequence[str]) -> Iterator[tuple[str, LiveEvent]]:
        with self.redis.pipeline(transaction=False) as pipeline:
            for one in page:
                pipeline.hmget(keys.job(one), *_FIELDS)
            hashes = dict(zip(page, pipeline.execute(raise_on_error=False), strict=True))
        jobs = {one: dict(zip(_FIELDS, values, strict=True)) for one, values in hashes.items() if _is_job(values)}
        if not jobs:
            return
        with self.redis.pipeline(transaction=False) as pipeline:
            for one, job in jobs.items():
                lane = _lane(job)
                pipeline.hgetall(keys.marks(one))
                pipeline.xrevrange(keys.results(one), count=1)
                pipeline.zscore(keys.scheduled(lane), one)
                pipeline.zscore(keys.failed(lane), one)
            answers = pages(pipeline.execute(raise_on_error=False), 4)
        for (one, job), (marks, results, due_at, expires_at) in zip(jobs.items(), answers, strict=True):
            found = _Found(one, job, _dict(marks), *read_result(results), _score(due_at), _score(expires_at))
            yield one, _live_event(found)


def _ids_of_message(message: str, account: str | None) -> Iterator[str]:
    for family in Family:
        if not family.facts.message_id:
            continue
        is_sms = family.facts.product is Product.SMS
        statuses = (_RECEIPT_STATUSES if is_sms else _MESSAGE_STATUSES) if "status" in family.facts.identity else ("",)
        codes = _RECEIPT_CODES if family.facts.optional_identity else ("",)
        for status in statuses:
            for code in codes:
                fields = {family.facts.message_id: message, "status": status, "err-code": code}
                yield event_id(family, account, fields, b"")


class _Found(NamedTuple):
    """The answers of Redis about one event."""

    id: str
    job: Mapping[str, bytes | None]
    marks: Mapping[bytes, bytes]
    ended_at: float | None
    """When RQ wrote the newest result."""
    result: Mapping[bytes, bytes]
    due_at: float | None
    expires_at: float | None


def _live_event(found: _Found) -> LiveEvent:
    job = found.job
    envelope = read_envelope(job["data"])
    arrival = arrival_of(envelope) if envelope else _unreadable(found)
    parties = [party for party in (arrival.sender, arrival.recipient) if party]
    traceback = traceback_of(found.result)
    status = (job["status"] or b"").decode(errors="replace")
    state = returned_state(found.result) or "processed" if status == "finished" else _STATES.get(status, status)
    since = _since(found, state)
    marks = [mark for mark in map(read_mark, found.marks.items()) if mark is not None]
    dead = failures(traceback, parties) if traceback and state == "dead" else {}
    pending = Pending(
        event_id=found.id,
        state=state,
        since=since,
        due={handler: (number + 1, at) for handler, kind, number, at in marks if kind == "retry"},
        due_at=found.due_at if state == "retrying" else None,
        dead=dead,
        replay=_replay(job[keys.REPLAY], unix(job["enqueued_at"]) or since),
        worker=(job["worker_name"] or b"").decode(errors="replace") or None if state == "running" else None,
    )
    event = EventRow(
        **{name: getattr(arrival, name) for name in field_names(Arrival)},
        state=state,
        state_at=since or 0.0,
        attempts=max((number for _, _, number, _ in marks), default=0),
        ended_at=since if state in FINAL_STATES else None,
        error=next(iter(dead.values()), None),
    )
    masked = masking.numbers(traceback, parties) if traceback else None
    return LiveEvent(event=event, pending=pending, error=masked, expires_at=found.expires_at)


def _since(found: _Found, state: str) -> float | None:
    if state == "waiting":
        return unix(found.job["enqueued_at"])
    if state == "running":
        return unix(found.job["started_at"])
    return found.ended_at or unix(found.job["ended_at"]) or unix(found.job["started_at"])


def _unreadable(found: _Found) -> Arrival:
    return Arrival(
        event_id=found.id,
        account=None,
        application_id=None,
        lane=_lane(found.job),
        family="",
        channel=None,
        message_id=None,
        client_ref=None,
        status=None,
        sender=None,
        recipient=None,
        received_at=unix(found.job["created_at"]) or 0.0,
        occurred_at=None,
        encoding="",
        content_type="",
        body=b"",
        query="",
        trace=None,
    )


def _is_job(values: Any) -> bool:
    return isinstance(values, list) and any(value is not None for value in values)


def _lane(job: Mapping[str, bytes | None]) -> str:
    return (job["origin"] or b"").decode(errors="replace").removeprefix(keys.LANE_PREFIX)


def _replay(encoded: bytes | None, queued_at: float | None) -> tuple[str, float] | None:
    replay = JobReplay.decode(encoded)
    return (replay.id, queued_at) if replay and queued_at else None


def _dict(answer: Any) -> Mapping[bytes, bytes]:
    return answer if isinstance(answer, dict) else {}


def _score(answer: Any) -> float | None:
    return answer if isinstance(answer, float) else None


def pages(items: Iterable[T], size: int = PAGE) -> Iterator[tuple[T, ...]]:
    """Cut items into pages of so many; the last one may be shorter."""
    iterator = iter(items)
    while page := tuple(islice(iterator, size)):
        yield page
