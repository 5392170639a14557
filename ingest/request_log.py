"""One wide line and one count for every callback that was answered. No text, no number, no token."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

from ackfirst.shared.metrics import IngestMetrics
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.values import instant
from ackfirst.shared.policy import Verdict
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.envelope_builder import plain_text
from ackfirst.shared.turn_buffer import TurnBuffer
from ackfirst.shared.verification import Verification

#: Verdicts that an operator must hear of: something genuine may be waiting for a change of ours.
ALARMING: Final = frozenset(
    {Verdict.SUSPECT, Verdict.UNSIGNED_AGAIN, Verdict.UNREADABLE, Verdict.SHED, Verdict.UNAVAILABLE}
)

#: Characters of unverified text that reach the log.
CLAIM_LIMIT: Final = 64


_NO_CLAIM: Final[dict[str, str | None]] = {}


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
    began: float = 0.0
    """Monotonic seconds at the last byte."""


class AckLog:
    """Writes acknowledgements down: their lines to ``lines``, a fault of ours to ``log``."""

    def __init__(self, log: Log, metrics: IngestMetrics, *, lines: Log | None = None) -> None:
        self._log = log
        self._lines = lines or log
        self._metrics = metrics
        self._gathering = TurnBuffer(self._write_all)
        self.gather = self._gathering.gather
        """Write down together what is answered together."""
        self.write = self._gathering.add
        """Count an acknowledgement and log it."""

    def failed(self) -> None:
        """The exception that is being handled is a fault of ours."""
        self._log.exception("callback.failed")

    def _write_all(self, acks: list[Acknowledgement]) -> None:
        for ack in acks:
            try:
                self._write(ack)
            except Exception:  # noqa: BLE001 - the others have lines as well
                self.failed()

    def _write(self, ack: Acknowledgement) -> None:
        lag = _lag(ack)
        skew = ack.verification.skew if ack.verification else None
        self._measure(ack, lag, skew)
        say = self._lines.warning if ack.verdict in ALARMING else self._lines.info
        found, event = ack.verification, ack.envelope
        family = found.family if found else None
        # What a callback that nobody vouches for says about itself may hold a person's number anywhere.
        say(
            "callback.received",
            event_id=event.id if event else None,
            family=str(family) if family else None,
            application=event.application_id if event else None,
            lane=event.lane if event else None,
            message_id=event.message_id if event else None,
            verdict=str(ack.verdict),
            reason=ack.reason,
            account=found.account if found else None,
            secret=found.secret if found else None,
            http_status=ack.status,
            ack_ms=round(ack.seconds * 1000, 2),
            body_bytes=ack.body_bytes,
            skew=skew,
            lag=lag,
            **(_NO_CLAIM if found is None or found.account else _claim(found)),
        )

    def _measure(self, ack: Acknowledgement, lag: float | None, skew: float | None) -> None:
        found, family, confirmation = ack.verification, None, None
        if found is not None:
            family = found.family
            if found.account is not None and found.secret is not None:
                confirmation = found.account, found.secret
        self._metrics.answered((family, ack.verdict, ack.seconds, confirmation, lag, skew))


def _claim(found: Verification) -> dict[str, str | None]:
    """The account that an unconfirmed callback names, if it names one."""
    claimed = found.claimed_account
    return {"claimed_account": plain_text(claimed[:CLAIM_LIMIT])} if claimed else {}


def _lag(ack: Acknowledgement) -> float | None:
    """Seconds between the provider's own timestamp and the arrival: how far behind with us it is. New events only."""
    if ack.verdict is not Verdict.VERIFIED or ack.callback is None or ack.verification is None:
        return None
    fields = ack.verification.reading.fields if ack.verification.reading else {}
    # The SMS API's "timestamp" is the time of signing; "message-timestamp" is when it started to push.
    sent_at = instant(fields.get("message-timestamp") or fields.get("timestamp"))
    return None if sent_at is None else round(ack.callback.received_at - sent_at.timestamp(), 3)
