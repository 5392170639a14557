"""A handler that does nothing: what is left is the worker's own cost."""

from ackfirst import Event, on


@on()
def nothing(event: Event) -> None:
    """Take the event and return."""
