"""One wide line and one count for every callback that was answered. No text, no number, no token."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

from shared.envelope import Envelope
from shared.metrics import IngestMetrics
from shared.nexmo.callback import Callback
from shared.nexmo.values import instant
from shared.policy import Verdict
from shared.sealing import plain_text
from shared.verification import Verification

#: Verdicts that an operator must hear of: something genuine may be waiting for a change of ours.
ALARMING: Final = frozenset(
    {Verdict.SUSPECT, Verdict.UNSIGNED_AGAIN, Verdict.UNREADABLE, Verdict.SHED, Verdict.UNAVAILABLE}
)

#: Characters of unverified text that reach the log.
CLAIM_LIMIT: Final = 64


class Log(Protocol):
    """The part of a structlog logger that the edge speaks to."""

    def info(self, event: str, /, **fields: Any) -> Any:
        """The ordinary."""

    def warning(self, event: str, /, **fields: Any) -> Any:
        """What somebody should look at."""

    def error(self, event: str, /, **fields: Any) -> Any:
        """What somebody must look at."""

    def exception(self, event: str, /, **fields: Any) -> Any:
        """A fault of ours, with its traceback."""


@dataclass(slots=True)
class Acknowledgement:
    """All that is known about one callback when it is answered; filled in step by step."""

    verdict: Verdict
    reason: str
    body_bytes: int | None
    callback: Callback | None = None
    verification: Verification | None = None
    envelope: Envelope | None = None
    status: int = 0
    """HTTP status."""
    seconds: float = 0.0
    """From the last byte to the answer."""


class AckLog:
    """Writes acknowledgements down."""

    def __init__(self, log: Log, metrics: IngestMetrics) -> None:
        self._log = log
        self._metrics = metrics

    def failed(self) -> None:
        """The exception that is being handled is a fault of ours."""
        self._log.exception("callback.failed")

    def write(self, ack: Acknowledgement) -> None:
        """Count it and log it."""
        lag = _lag(ack)
        skew = ack.verification.skew if ack.verification else None
        self._measure(ack, lag, skew)
        say = self._log.warning if ack.verdict in ALARMING else self._log.info
        say(
            "callback.received",
            **_event_fields(ack),
            verdict=ack.verdict.value,
            reason=ack.reason,
            **_account_fields(ack.verification),
            secret=ack.verification and ack.verification.secret,
            http_status=ack.status,
            ack_ms=round(ack.seconds * 1000, 2),
            body_bytes=ack.body_bytes,
            skew=skew,
            lag=lag,
        )

    def _measure(self, ack: Acknowledgement, lag: float | None, skew: float | None) -> None:
        self._metrics.count(ack.verification.family if ack.verification else None, ack.verdict)
        self._metrics.ack_seconds.observe(ack.seconds)
        found = ack.verification
        if found is not None and found.account is not None and found.secret is not None:
            self._metrics.confirm(found.account, found.secret)
        if lag is not None:
            self._metrics.provider_lag_seconds.observe(max(0.0, lag))
        if skew is not None:
            self._metrics.clock_skew_seconds.observe(skew)


def _event_fields(ack: Acknowledgement) -> dict[str, Any]:
    """What a verified callback says about itself; what nobody vouches for may hold a person's number anywhere."""
    family = ack.verification.family if ack.verification else None
    event = ack.envelope
    return {
        "event_id": event and event.id,
        "family": family and family.value,
        "application": event and event.application_id,
        "lane": event and event.lane,
        "message_id": event and event.message_id,
    }


def _account_fields(verification: Verification | None) -> dict[str, str | None]:
    if verification is None:
        return {"account": None}
    if verification.account or not verification.claimed_account:
        return {"account": verification.account}
    return {"account": None, "claimed_account": plain_text(verification.claimed_account[:CLAIM_LIMIT])}


def _lag(ack: Acknowledgement) -> float | None:
    """Seconds between the provider's own timestamp and the arrival: how far behind with us it is. New events only."""
    if ack.verdict is not Verdict.VERIFIED or ack.callback is None or ack.verification is None:
        return None
    fields = ack.verification.reading.fields if ack.verification.reading else {}
    # The SMS API's "timestamp" is the time of signing; "message-timestamp" is when it started to push.
    sent_at = instant(fields.get("message-timestamp") or fields.get("timestamp"))
    return None if sent_at is None else round(ack.callback.received_at - sent_at.timestamp(), 3)
