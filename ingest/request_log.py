"""Write one wide line and count once for every callback that was answered. No text, no number, no token."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

from ackfirst.ingest.metrics import IngestMetrics
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.values import instant
from ackfirst.shared.policy import Verdict
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.envelope_builder import plain_text
from ackfirst.shared.verification import Verification

#: Verdicts that are logged as warnings: something genuine may be waiting for the operator.
ALARMING: Final = frozenset(
    {Verdict.SUSPECT, Verdict.UNSIGNED_AGAIN, Verdict.UNREADABLE, Verdict.SHED, Verdict.UNAVAILABLE}
)

#: Characters of unverified text that reach the log.
CLAIM_LIMIT: Final = 64


class Log(Protocol):
    """The part of a structlog logger that ingest uses."""

    def info(self, event: str, /, **fields: Any) -> Any:
        """Log what is ordinary."""

    def warning(self, event: str, /, **fields: Any) -> Any:
        """Log what an operator should look at."""

    def error(self, event: str, /, **fields: Any) -> Any:
        """Log what an operator must look at."""

    def exception(self, event: str, /, **fields: Any) -> Any:
        """Log a fault of ours, with its traceback."""


@dataclass(slots=True)
class RequestRecord:
    """All that is known about one callback when it is answered; filled in step by step."""

    callback: Callback | None
    body_bytes: int | None
    verdict: Verdict = Verdict.UNAVAILABLE
    reason: str = "internal-error"
    verification: Verification | None = None
    envelope: Envelope | None = None
    status: int = 0
    """HTTP status."""
    began: float = 0.0
    """Monotonic seconds at the last byte."""
    seconds: float = 0.0
    """From the last byte to the answer."""


class RequestLog:
    """Counts answered callbacks in ``metrics`` and writes their lines.

    Args:
        log: Takes the tracebacks of our own faults.
        metrics: Counts.
        lines: Takes the callbacks' lines, if that is another logger.
    """

    def __init__(self, log: Log, metrics: IngestMetrics, *, lines: Log | None = None) -> None:
        self._log = log
        self._lines = lines or log
        self._metrics = metrics

    def failed(self) -> None:
        """Log the exception that is being handled as a fault of ours."""
        self._log.exception("callback.failed")

    def write(self, entry: RequestRecord) -> None:
        """Count an answer and log it. Never raises: the answer is still to be sent."""
        try:
            self._write(entry)
        except Exception:  # noqa: BLE001 - as above
            self.failed()

    def _write(self, entry: RequestRecord) -> None:
        found, event = entry.verification, entry.envelope
        family = account = secret = skew = None
        if found is not None:
            family, account, secret, skew = found.family, found.account, found.secret, found.skew
        lag = _lag(entry)
        self._metrics.count(
            family,
            entry.verdict,
            entry.seconds,
            confirmed_by=None if account is None or secret is None else (account, secret),
            lag=lag,
            skew=skew,
        )
        fields: dict[str, Any] = {
            "event_id": event.id if event else None,
            "family": family,
            "application": event.application_id if event else None,
            "lane": event.lane if event else None,
            "message_id": event.message_id if event else None,
            "verdict": entry.verdict,
            "reason": entry.reason,
            "account": account,
            "secret": secret,
            "http_status": entry.status,
            "ack_ms": round(entry.seconds * 1000, 2),
            "body_bytes": entry.body_bytes,
            "skew": skew,
            "lag": lag,
        }
        if found is not None and account is None and found.claimed_account:
            # The only text of an unconfirmed callback in the log: any other field may hold a person's number.
            fields["claimed_account"] = plain_text(found.claimed_account[:CLAIM_LIMIT])
        write = self._lines.warning if entry.verdict in ALARMING else self._lines.info
        write("callback.received", **fields)


def _lag(entry: RequestRecord) -> float | None:
    """Measure, of a new event, how many seconds after the provider's own timestamp it arrived."""
    if entry.verdict is not Verdict.VERIFIED or entry.callback is None or entry.verification is None:
        return None
    fields = entry.verification.reading.fields if entry.verification.reading else {}
    # The SMS API's "timestamp" is the time of signing; "message-timestamp" is when it started to push.
    sent_at = instant(fields.get("message-timestamp") or fields.get("timestamp"))
    return None if sent_at is None else round(entry.callback.received_at - sent_at.timestamp(), 3)
