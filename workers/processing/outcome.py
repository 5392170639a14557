"""Record how an event ended. Every end of an event is reported here: ``OutcomeSink.write``."""

import itertools
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from redis import Redis

from ackfirst.shared import masking
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.record import UNWANTED
from ackfirst.shared.record import named_record
from ackfirst.workers.processing.marks import State
from ackfirst.workers.replies import printable
from ackfirst.workers.scripts import script

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Characters of an error's message that are kept.
LONGEST_MESSAGE: Final = 500
#: Seconds for which Redis remembers that a batch was counted.
COUNTED_SECONDS: Final = 60
#: Characters of the text that a handler may return.
LONGEST_RETURNED: Final = 200


class EventEnding(StrEnum):
    """The endings of an event's pass. After ``RETRIED`` and ``RESCUED`` the event runs again; the others are final."""

    PROCESSED = "processed"
    """Every handler is finished, at least one of them with success."""
    UNHANDLED = "unhandled"
    """No handler matches the event."""
    DISCARDED = "discarded"
    """Every handler is finished, all of them with ``Discard``."""
    RETRIED = "retried"
    """A handler failed and runs again later."""
    DEAD = "dead"
    """A handler failed for good, the job cannot be read, or it has killed too many workers: a dead letter."""
    RESCUED = "rescued"
    """The worker died; the event is back in its lane."""
    REJECTED = "rejected"
    """No worker can run the entry of the lane; it is in ``ackfirst rejects``."""


@named_record
class HandlerOutcome:
    """One attempt of a handler."""

    handler: str
    attempt: int
    """1 for the first attempt with this event."""
    started: float
    """Unix seconds."""
    seconds: float
    ending: State
    error_type: str | None = None
    """Name of the exception's class; None after a success."""
    message: str | None = None
    """Its message with phone numbers masked, at most 500 characters."""
    returned: str | None = None
    """The text that the handler returned, at most 200 characters."""


@named_record
class Outcome:
    """The outcome of an event's pass, recorded once Redis holds it."""

    event_id: str
    lane: str
    ending: EventEnding
    ended: float
    """Unix seconds."""
    worker: str
    """Name of the RQ worker that ran it; of the janitor's victim after a rescue; empty when none did."""
    handlers: Sequence[HandlerOutcome] = ()
    """The attempts of this pass."""
    reason: str | None = None
    """Why it ended this way when that is not a handler's doing: a cause of death, an unreadable envelope."""
    event: Event | None = None
    """The event, when the code that ended it had read it."""
    attempt: int = 1
    """The highest attempt that any handler has come to."""
    states: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Handler → state, of all handlers that want the event."""
    replay: str | None = None
    """Id of the replay that ran it again."""


class OutcomeSink(Protocol):
    """Hears of every end of an event or of a pass, after Redis holds that end."""

    def write(self, batch: Sequence[Outcome]) -> None:
        """Record the outcomes. A worker that is killed before the call loses them, never the events."""


class OutcomeSinks:
    """Passes outcomes to several sinks, in order."""

    def __init__(self, sinks: Iterable[OutcomeSink]) -> None:
        self._sinks = tuple(sinks)

    def write(self, batch: Sequence[Outcome]) -> None:
        """Record the outcomes in each sink."""
        if batch:
            for sink in self._sinks:
                sink.write(batch)


class OutcomeCounters:
    """Counts outcomes and handlers' durations in Redis, for ``/metrics``, in one round trip a batch.

    A batch whose answer was lost is counted once when it is written again.
    """

    def __init__(self, redis: Redis) -> None:
        self._count = script(redis, "count")
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count()
        self._unanswered: tuple[int, str] | None = None

    def write(self, batch: Sequence[Outcome]) -> None:
        """Add the outcomes to the counters. Safe to repeat with the same ``batch``; for one thread at a time."""
        if self._unanswered is None or self._unanswered[0] != id(batch):
            self._unanswered = id(batch), f"{self._prefix}-{next(self._numbers)}"
        endings = Counter(outcome.ending.value for outcome in batch if outcome.reason != UNWANTED)
        runs: Counter[str] = Counter()
        seconds: dict[str, float] = {}
        for outcome in batch:
            for one in outcome.handlers:
                runs[one.handler] += 1
                seconds[one.handler] = seconds.get(one.handler, 0.0) + one.seconds
        arguments: list[str | int | float] = [COUNTED_SECONDS, len(endings)]
        for ending, count in endings.items():
            arguments += (ending, count)
        for handler, count in runs.items():
            arguments += (handler, count, round(seconds[handler], 6))
        once = keys.counted(self._unanswered[1])
        self._count(keys=[keys.OUTCOMES, keys.HANDLER_TIMES, once], args=arguments)
        self._unanswered = None


class OutcomeLog:
    """Logs the one line of each pass of an event, ``event.processed``.

    An outcome without an event is not logged here: the code that ended it logs its cause.
    """

    def __init__(self, log: "FilteringBoundLogger") -> None:
        self._log = log

    def write(self, batch: Sequence[Outcome]) -> None:
        """Log one line for each outcome that has an event."""
        for outcome in batch:
            event = outcome.event
            if event is None:
                continue
            self._log.info(
                "event.processed",
                event_id=event.id,
                family=event.family,
                channel=event.channel,
                status=event.status,
                message_id=event.message_id,
                lane=outcome.lane,
                outcome=outcome.ending.value,
                attempt=outcome.attempt,
                handlers=outcome.states,
                seconds=round(sum(one.seconds for one in outcome.handlers), 6),
                waited_seconds=round(outcome.ended - event.received_at.timestamp(), 3),
            )


def error_message(error: BaseException) -> str:
    """The error's message, safe to store and show: numbers masked, printable, cut."""
    # Cut before it is masked: twenty megabytes in a message held the interpreter, and with it all threads, for seconds.
    return printable(masking.numbers(text_of(error)[: 2 * LONGEST_MESSAGE]))[:LONGEST_MESSAGE]


def text_of(error: BaseException) -> str:
    """The error's own message. Never raises, although ``__str__`` is the user's code and may even call sys.exit()."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - as above
        return "<no text>"


def returned_text(value: Any) -> str | None:
    """The text that a handler returned, cut; None for any other value."""
    # Not ``isinstance``: it asks the value for its class, and a lazy object runs code of the user's then.
    return printable(value[:LONGEST_RETURNED])[:LONGEST_RETURNED] if issubclass(type(value), str) else None
