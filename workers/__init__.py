"""The RQ side: takes events from their lanes and runs your handlers, with retries.

The path of an event::

    lane (RQ queue) ─ take ─▶ job ─ decode ─▶ envelope ─ parse ─▶ event ─ dispatch ─▶ handlers
                                                                                         │
         finished ◀── every handler is done or has discarded the event ──────────────────┤
         retry at … ◀── a handler wants another attempt: only that one runs again ───────┤
         dead letter ◀── a handler is over its retries; the others stay finished ────────┘

What A module of handlers needs is in ``ackfirst`` itself: ``from ackfirst import on, RetryLater, Discard``.
"""
