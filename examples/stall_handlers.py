"""The work of ``plain_app.py`` as a handler: ackfirst has answered long before it begins."""

from ackfirst import Event, on
from examples.harbour import work


@on()
def handle(event: Event) -> None:
    """Every event; an exception here is a retry of this event and nobody else's business."""
    work(event.application_id, f"{event.message_id} {event.status or 'inbound'}")
