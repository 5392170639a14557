"""A handler for trying it out: it writes a line for every event, without a person's number or words."""

from ackfirst import Context, Event, on


@on()
def show(event: Event, context: Context) -> None:
    """Say what has come."""
    context.log.info("try.seen", family=event.family, channel=event.channel, status=event.status)
