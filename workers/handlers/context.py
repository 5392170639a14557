"""Define the context: what a handler receives besides the event."""

from typing import TYPE_CHECKING

from ackfirst.shared.record import named_record

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


@named_record
class Context:
    """The second argument of a handler that takes two."""

    attempt: int
    """1 for the first attempt of *this* handler with this event."""
    retries_left: int
    """How many attempts follow when this one fails."""
    handler: str
    """``module.function``."""
    idempotency_key: str
    """``<event id>:<handler>``, the same in every attempt and replay: give it to services that take such a key. Only
    a replay with ``--fresh`` adds its id."""
    log: "FilteringBoundLogger"
    """A structlog logger that already knows the event, the handler and the attempt."""
    replay: str | None = None
    """Id of the replay that runs the handler again for an event that had ended; None for an ordinary run."""
