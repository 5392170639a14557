"""Write down every act of a person: a line of the log, and a row of the record's audit table."""

import structlog
from flask import g, request

from ackfirst.ops.web.sources import sources
from ackfirst.shared.errors import StoreUnavailableError
from ackfirst.shared.store import AuditRow

log = structlog.get_logger(__name__)


def audit(act: str, subject: str, detail: str = "", *, must_be_kept: bool = False) -> None:
    """Record what the user of this request did.

    Args:
        act: A few fixed words, such as ``lane-paused``; the log's event is ``web.<act>``.
        subject: What it was done to: an id, a lane, a filter. Never personal data.
        detail: Numbers, reasons.
        must_be_kept: Refuse the act when the record cannot take the row. Without it, an act that has been carried out
            already is at least in the log.

    Raises:
        StoreUnavailableError: The row must be kept, and the record cannot take it.
    """
    event = f"web.{act}"
    log.info(event, user=g.user, subject=subject, detail=detail or None, remote=request.remote_addr)
    found = sources()
    if not found.record.is_on:
        return
    try:
        found.store.audit(AuditRow(found.clock(), g.user, act, subject, detail))
    except StoreUnavailableError as error:
        log.warning("web.audit-not-recorded", act=act, subject=subject, error=str(error))
        if must_be_kept:
            raise
