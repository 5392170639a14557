"""Events for tests of handlers, without a queue."""

from typing import Any

from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.queue.parse import parse
from tests.support.factories import make_envelope


def make_event(**fields: Any) -> Event:
    """An inbound SMS of the Messages API, parsed from its envelope; ``fields`` replace the event's own."""
    event = parse(make_envelope())
    values = {name: getattr(event, name) for name in Event.__slots__}
    return Event(**{**values, **fields})
