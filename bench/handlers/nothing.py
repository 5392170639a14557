"""A handler that does nothing: what remains is the worker's own cost."""

from ackfirst import Event, on


@on()
def nothing(event: Event) -> None:
    """Return."""
