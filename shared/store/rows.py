"""Define the rows of the record: what is written to the store, and what is read from it.

Times are Unix seconds. A text of the store never holds a NUL or a lone surrogate: U+FFFD stands for them. Bodies and
queries come back exactly as they were given.
"""

from collections.abc import Sequence
from typing import Final, Self

from ackfirst.shared.record import named_record, record

#: States of an event after which it runs only when an operator replays it.
FINAL_STATES: Final = frozenset({"processed", "unhandled", "discarded", "dead", "rejected"})


@record
class Cursor:
    """A place in a listing of events."""

    at: float
    """``received_at`` of an event; ``recorded_at`` in ``follow``, ``dead_at`` of a dead letter."""
    id: str
    """Event id; of a dead letter with a space and the handler."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` wrote.

        Raises:
            ValueError: It is not a cursor.
        """
        at, separator, name = text.partition("~")
        if not separator or not name:
            raise ValueError(f"not a cursor: {text!r}")
        return cls(float(at), name)

    def __str__(self) -> str:
        return f"{self.at!r}~{self.id}"


@named_record
class Arrival:
    """A verified event, as it was put into its lane."""

    event_id: str
    account: str | None
    application_id: str | None
    lane: str
    family: str
    channel: str | None
    message_id: str | None
    client_ref: str | None
    status: str | None
    sender: str | None
    recipient: str | None
    received_at: float
    """With ``event_id`` the key: an event that Nexmo sends again after days, when no memory of it is left, is a second
    row."""
    occurred_at: float | None
    """When it happened according to the provider."""
    encoding: str
    content_type: str
    body: bytes
    query: str
    trace: str | None
    price: str | None = None
    """What the message cost, such as ``0.0333 EUR``: stays when the body is redacted."""


@named_record
class Attempt:
    """One attempt of a handler with an event."""

    event_id: str
    received_at: float
    """Of the event: the other half of its key. 0 where it is not known."""
    handler: str
    number: int
    """1 for the first attempt."""
    worker: str
    started: float
    seconds: float
    ending: str
    """``done``, ``discarded``, ``retry`` or ``dead``."""
    error_type: str | None = None
    message: str | None = None
    """The error's message, masked."""
    returned: str | None = None
    replay: str | None = None
    """Id of the replay that had it run; None for live traffic."""


@named_record
class Ending:
    """A change of an event's state."""

    event_id: str
    received_at: float
    """Of the event: the other half of its key. 0 where it is not known."""
    lane: str
    state: str
    """``waiting``, ``retrying``, ``processed``, ``unhandled``, ``discarded``, ``dead`` or ``rejected``."""
    at: float
    attempts: int = 0
    """The highest attempt that any handler has come to."""
    reason: str | None = None


@named_record
class Request:
    """A callback that made no event: a duplicate, or one that was refused or quarantined."""

    at: float
    kind: str
    """``duplicate``, ``refused`` or ``quarantined``."""
    event_id: str | None = None
    account: str | None = None
    application_id: str | None = None
    family: str | None = None
    verdict: str | None = None
    reason: str | None = None
    count: int = 1


@named_record
class Batch:
    """The rows that one transaction writes."""

    position: str
    """Id of the newest stream entry that is in it."""
    arrivals: Sequence[Arrival] = ()
    attempts: Sequence[Attempt] = ()
    endings: Sequence[Ending] = ()
    requests: Sequence[Request] = ()
    gaps: Sequence["Gap"] = ()
    """Times for which events are missing."""
    after: str | None = None
    """The position that it was read from. With it, a batch is refused when another writer has moved the position, even
    if the two batches overlap only in part."""


@named_record
class EventRow(Arrival):
    """An event, with what became of it."""

    state: str = "waiting"
    state_at: float = 0.0
    """When it came into this state."""
    attempts: int = 0
    reason: str | None = None
    ended_at: float | None = None
    """``state_at`` of a final state; None while it waits or retries."""
    error: str | None = None
    """Type and masked message of the newest attempt's error; None after a success."""
    recorded_at: float | None = None
    """When its arrival was written to the store; None while only its attempts or its end are known."""
    redacted_at: float | None = None
    """When its personal data was taken out; its body cannot be replayed."""

    @property
    def cursor(self) -> Cursor:
        """Its place in listings by the time it was received."""
        return Cursor(self.received_at, self.event_id)


@named_record
class EventFilter:
    """Which events a listing, a count or a replay is about. None: all."""

    since: float | None = None
    """Received at this time or later."""
    until: float | None = None
    """Received before this time."""
    family: str | None = None
    status: str | None = None
    account: str | None = None
    application_id: str | None = None
    lane: str | None = None
    state: str | None = None
    sender: str | None = None
    recipient: str | None = None
    message_id: str | None = None
    client_ref: str | None = None
    handler: str | None = None
    """Events that this handler has run; with the state ``dead`` those that are dead letters of this handler."""
    error_type: str | None = None
    """Events with a dead letter whose error is of this type."""
    died_since: float | None = None
    """Events with a dead letter that died at this time or later."""
    died_until: float | None = None
    """Events with a dead letter that died before this time."""


@record
class Gap:
    """A time for which the record misses events."""

    from_at: float
    to_at: float
    count: int
    reason: str


@record
class AuditRow:
    """One act that changed something, and who did it."""

    at: float
    who: str
    act: str
    subject: str
    detail: str = ""


@named_record
class DeadLetter:
    """One handler that failed for good with one event."""

    event_id: str
    received_at: float
    message_id: str | None
    lane: str
    handler: str
    error_type: str
    error: str
    """Masked message."""
    attempts: int
    dead_at: float

    @property
    def cursor(self) -> Cursor:
        """Its place in listings of dead letters."""
        return Cursor(self.dead_at, f"{self.event_id} {self.handler}")


@named_record
class Replay:
    """A replay of events: what it is about, and how far it is."""

    id: str
    name: str
    created_at: float
    who: str
    reason: str
    filter: str
    """The resolved ``EventFilter`` as JSON."""
    handlers: str = ""
    """Comma separated; empty for all."""
    fresh: bool = False
    rate: float = 0.0
    state: str = "running"
    """``running``, ``paused``, ``done`` or ``stopped``."""
    total: int = 0
    moved: int = 0
    skipped: int = 0
    died: int = 0
    cursor: str = ""
    note: str = ""
    updated_at: float = 0.0
