"""Answer Nexmo (Vonage) message callbacks at once, process them later.

A module of handlers needs these names and nothing else of this package::

    from ackfirst import Discard, RetryLater, on


    @on("message-status", status={"rejected", "undeliverable"})
    def alert(event): ...
"""

from ackfirst.shared.nexmo.event import Event
from ackfirst.workers.handlers.context import Context
from ackfirst.workers.handlers.handler import on
from ackfirst.workers.handlers.verdicts import Discard, RetryLater

__all__ = ["Context", "Discard", "Event", "RetryLater", "__version__", "on"]

__version__ = "0.1.0"
