"""The RQ side: takes events from their lanes and runs your handlers, with retries.

The path of an event::

    lane (RQ queue) ─ take ─▶ job ─ decode ─▶ envelope ─ parse ─▶ event ─ dispatch ─▶ handlers
                                                                                         │
         finished ◀── every handler is done or has discarded the event ──────────────────┤
         retry at … ◀── a handler wants another attempt: only that one runs again ───────┤
         dead letter ◀── a handler is over its retries; the others stay finished ────────┘

A module with handlers needs this package and nothing else of ours::

    from ackfirst import Discard, RetryLater, on

    @on("message-status", status={"rejected", "undeliverable"})
    def alert(event, context): ...
"""

from ackfirst.shared.nexmo.event import Event
from ackfirst.workers.context import Context
from ackfirst.workers.handler import on
from ackfirst.workers.verdicts import Discard, RetryLater

__all__ = ["Context", "Discard", "Event", "RetryLater", "on"]
