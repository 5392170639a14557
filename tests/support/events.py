"""Events for tests of handlers, without a queue."""

from typing import Any

from shared.nexmo.event import Event
from tests.support.factories import make_envelope
from workers.parse import parse


def make_event(**fields: Any) -> Event:
    """An inbound SMS of the Messages API, parsed from its envelope; ``fields`` replace the event's own."""
    event = parse(make_envelope())
    values = {name: getattr(event, name) for name in Event.__slots__}
    return Event(**{**values, **fields})
