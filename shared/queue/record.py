"""Write and read the stream from which the record is made (``keys.RECORD``): one entry a batch.

Fields of an entry, of which each has some:

- ``a`` ids of events that were queued, ``d`` ids of events that came again, both separated by spaces; ``at`` unix
  seconds, ``n`` the counter of acknowledged events after the batch (``enqueue.lua``)
- ``o`` JSON list of outcomes, each a list in the order of ``RecordedOutcome``'s fields, with a list for each attempt in
  the order of ``RecordedAttempt``'s (``settle.lua``, ``rescue.lua``, ``OutcomeRecord``)
- ``q`` JSON object: a callback was put into quarantine (``add.lua``)
- ``g`` JSON object: events that the record misses, with ``from``, ``to`` (unix seconds), ``count``, ``reason``
- ``r`` JSON object: callbacks were refused, ``count`` of them alike (``ackfirst.ingest.refusals``)

Bodies are not copied: the recorder reads them in the job hashes, which therefore have no expiry until it has.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from ackfirst.shared.record import field_names, named_record

#: Reason of an ending that is none: a replay had nothing to run, and the event stays in its state.
UNWANTED: Final = "none of the handlers that were to run matches it"

#: Fields of the hash ``keys.RECORDER``: the id of the newest entry that the store holds, and the counter of
#: acknowledged events there;
POSITION: Final = "position"
ACKNOWLEDGED: Final = "acknowledged"
#: how many events were recorded, and how many are missing in the record;
RECORDED: Final = "recorded"
GAP_EVENTS: Final = "gap_events"
#: unix seconds of the newest gap, and how many events are missing since the last day without one;
GAP_AT: Final = "gap_at"
GAP_RECENT: Final = "gap_recent"
#: unix seconds since which the record is off.
OFF_AT: Final = "off_at"


@named_record
class RecordedAttempt:
    """One attempt of a handler."""

    handler: str
    number: int
    started: float
    """Unix seconds."""
    seconds: float
    ending: str
    error_type: str | None = None
    message: str | None = None
    returned: str | None = None


@named_record
class RecordedOutcome:
    """The outcome of a pass of an event."""

    event_id: str
    lane: str
    ending: str
    """As in ``ackfirst.workers.processing.outcome.EventEnding``."""
    ended: float
    """Unix seconds."""
    received_at: float | None
    """Unix seconds; None where the code that ended the event had not read it."""
    worker: str
    attempt: int
    reason: str | None
    replay: str | None
    attempts: Sequence[RecordedAttempt] = ()


@named_record
class RecordedRequest:
    """Callbacks that made no event. Account, application and family are what they claim: unverified text."""

    at: float
    """Unix seconds."""
    verdict: str
    reason: str
    account: str | None = None
    application_id: str | None = None
    family: str | None = None
    count: int = 1
    """How many were alike."""
    quarantine: str | None = None
    """Its id in the quarantine."""


@named_record
class RecordEntry:
    """One entry of the stream."""

    id: str
    """``<milliseconds>-<number>``."""
    arrived: Sequence[str] = ()
    repeated: Sequence[str] = ()
    outcomes: Sequence[RecordedOutcome] = ()
    quarantined: RecordedRequest | None = None
    refused: RecordedRequest | None = None
    gap: Mapping[str, Any] | None = None
    acknowledged: int | None = None
    """The counter of acknowledged events after it, if it has moved the counter."""

    @property
    def at(self) -> float:
        """Unix seconds at which Redis took it."""
        return int(self.id.partition("-")[0]) / 1000

    @classmethod
    def decode(cls, entry_id: bytes, fields: Mapping[bytes, bytes]) -> "RecordEntry":
        """Read an entry.

        Raises:
            ValueError: Another program has written it.
        """
        try:
            return cls(
                id=entry_id.decode(),
                arrived=fields.get(b"a", b"").decode().split(),
                repeated=fields.get(b"d", b"").decode().split(),
                outcomes=[_outcome(row) for row in orjson.loads(fields.get(b"o", b"[]"))],
                quarantined=_request(fields.get(b"q")),
                refused=_request(fields.get(b"r")),
                gap=orjson.loads(fields[b"g"]) if b"g" in fields else None,
                acknowledged=int(fields[b"n"]) if b"n" in fields else None,
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"entry {entry_id!r} of {len(fields)} fields cannot be read: {error}") from error


def outcome_text(outcome: Sequence[Any]) -> bytes:
    """Write the JSON list of one outcome from its values, in the order of ``RecordedOutcome``'s fields."""
    try:
        return orjson.dumps(outcome)
    except TypeError:  # a lone surrogate in a text, which UTF-8 cannot hold
        return orjson.dumps(_storable(outcome))


def request_text(request: RecordedRequest) -> bytes:
    """Write the JSON object of callbacks that were refused or quarantined. ``add.lua`` adds the quarantine's id."""
    fields = {name: getattr(request, name) for name in field_names(RecordedRequest)}
    return orjson.dumps(_storable({name: value for name, value in fields.items() if value is not None}))


def _storable(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {name: _storable(one) for name, one in value.items()}
        case list() | tuple():
            return [_storable(one) for one in value]
        case _:
            return value


def _outcome(row: Sequence[Any]) -> RecordedOutcome:
    event_id, lane, ending, ended, received_at, worker, attempt, reason, replay, attempts = row
    return RecordedOutcome(
        event_id=event_id,
        lane=lane,
        ending=ending,
        ended=ended,
        received_at=received_at,
        worker=worker,
        attempt=attempt,
        reason=reason,
        replay=replay,
        attempts=[_attempt(one) for one in attempts],
    )


def _attempt(row: Sequence[Any]) -> RecordedAttempt:
    handler, number, started, seconds, ending, error_type, message, returned = row
    return RecordedAttempt(
        handler=handler,
        number=number,
        started=started,
        seconds=seconds,
        ending=ending,
        error_type=error_type,
        message=message,
        returned=returned,
    )


def _request(text: bytes | None) -> RecordedRequest | None:
    return None if text is None else RecordedRequest(**orjson.loads(text))
