"""The work of ``plain_app.py`` as a handler, which runs after ackfirst has answered."""

from ackfirst import Event, on
from examples.harbour import work


@on()
def handle(event: Event) -> None:
    """Process an event. An exception here means a retry of this event, and delays no other."""
    work(event.application_id, f"{event.message_id} {event.status or 'inbound'}")
