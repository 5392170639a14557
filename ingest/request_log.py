"""Count every callback that was answered and write one wide line about it. No text, no number, no token.

Both are done after the answer is sent, for all callbacks of a turn of the event loop in one pass.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ackfirst.ingest.metrics import IngestMetrics
from ackfirst.shared import masking
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.values import instant
from ackfirst.shared.policy import Verdict
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.envelope_builder import plain_text
from ackfirst.shared.verification import Verification

#: Verdicts that are logged as warnings: something genuine may be waiting for the operator.
ALARMING: Final = frozenset(
    {
        Verdict.SUSPECT,
        Verdict.UNSIGNED_AGAIN,
        Verdict.UNREADABLE,
        Verdict.WRONG_PATH,
        Verdict.TOO_LARGE,
        Verdict.SHED,
        Verdict.UNAVAILABLE,
    }
)

#: Verdicts of callbacks that are kept nowhere: any sender could fill the disk with lines about them.
UNKEPT: Final = frozenset(
    {
        Verdict.PROBE,
        Verdict.UNSIGNED,
        Verdict.FORGED,
        Verdict.WRONG_PATH,
        Verdict.TOO_LARGE,
        Verdict.SHED,
        Verdict.UNAVAILABLE,
    }
)

#: What the provider may never send again, although it may have been genuine: an operator must see where it went.
FINAL_VERDICTS: Final = frozenset({Verdict.WRONG_PATH, Verdict.TOO_LARGE})
FINAL_REASONS: Final = frozenset({"not-found", "bad-request", "line-too-long", "body-broken"})

#: Lines of one kind of refusal that are written in ``SUMMARY_SECONDS``; the rest is one line with their number.
LINES_A_MINUTE: Final = 20
SUMMARY_SECONDS: Final = 60.0

#: Characters of unverified text that reach the log.
CLAIM_LIMIT: Final = 64
PATH_LIMIT: Final = 200


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

    path: str
    callback: Callback | None
    """None when its body was not read to its end."""
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
    """Counts answered callbacks and refused requests, and writes their lines.

    What one of our secrets has confirmed, what was queued and what was put into quarantine has a line each. Strangers
    can bring about any number of refusals: of those, ``Throttle`` writes a few a minute and a summary.

    Args:
        log: Takes the tracebacks of our own faults, and summaries.
        metrics: Counts.
        lines: Takes the callbacks' lines, if that is another logger.
        on_refused: Called with each answered callback of the verdicts in ``UNKEPT``.
        soon: Calls its argument back once the answers of this turn are sent: an event loop's ``call_soon``. By default
            everything is written at once.
    """

    def __init__(
        self,
        log: Log,
        metrics: IngestMetrics,
        *,
        lines: Log | None = None,
        on_refused: Callable[[RequestRecord], object] | None = None,
        soon: Callable[[Callable[[], None]], object] = lambda step: step(),
    ) -> None:
        self._log = log
        self._lines = lines or log
        self._metrics = metrics
        self._on_refused = on_refused
        self._throttle = Throttle(log)
        self._soon = soon
        self._answered: list[RequestRecord] = []

    def failed(self) -> None:
        """Log the exception that is being handled as a fault of ours."""
        self._log.exception("callback.failed")

    def refuse(self, reason: str, /, *, path: str | None = None) -> None:
        """Count and log a request or connection that was refused before it was a callback."""
        self._metrics.refuse(reason)
        if self._throttle.admits("request.refused", reason):
            write = self._log.warning if reason in FINAL_REASONS else self._log.info
            write("request.refused", reason=reason, **({} if path is None else {"path": _shown(path)}))

    def close(self) -> None:
        """Count and write what was answered last, and the summaries that are due."""
        self._flush()
        self._throttle.close()

    def write(self, entry: RequestRecord) -> None:
        """Count an answer and log it, soon."""
        self._answered.append(entry)
        if len(self._answered) == 1:
            self._soon(self._flush)

    def _flush(self) -> None:
        answered, self._answered = self._answered, []
        for entry in answered:
            try:
                self._write(entry)
            except Exception:  # noqa: BLE001 - one that cannot be written must not take its neighbours with it
                self.failed()

    def _write(self, entry: RequestRecord) -> None:
        verdict, found, event = entry.verdict, entry.verification, entry.envelope
        family = account = secret = skew = claimed = None
        if found is not None:
            family, account, secret, skew = found.family, found.account, found.secret, found.skew
            claimed = found.claimed_account
        lag = _lag(entry)
        self._metrics.count(
            family,
            verdict,
            entry.seconds,
            confirmed_by=None if account is None or secret is None else (account, secret),
            lag=lag,
            skew=skew,
        )
        if verdict in UNKEPT and self._on_refused is not None:
            self._on_refused(entry)
        if (
            secret is None
            and event is None
            and verdict in UNKEPT
            and not self._throttle.admits("callback.received", verdict)
        ):
            return
        fields: dict[str, Any] = {
            "event_id": event.id if event else None,
            "family": family,
            "application": event.application_id if event else None,
            "lane": event.lane if event else None,
            "message_id": event.message_id if event else None,
            "verdict": verdict,
            "reason": entry.reason,
            "account": account,
            "secret": secret,
            "http_status": entry.status,
            "ack_ms": round(entry.seconds * 1000, 2),
            "body_bytes": None if entry.callback is None else len(entry.callback.body),
            "skew": skew,
            "lag": lag,
        }
        if claimed and account is None:
            # The only text of an unconfirmed callback in the log: any other field may hold a person's number.
            fields["claimed_account"] = plain_text(claimed[:CLAIM_LIMIT])
        if verdict in FINAL_VERDICTS:
            fields["path"] = _shown(entry.path)
        write = self._lines.warning if verdict in ALARMING else self._lines.info
        write("callback.received", **fields)


class Throttle:
    """Lets a few lines of each kind pass in a minute, counts the rest, and writes how many those were at its end."""

    def __init__(self, log: Log, *, lines: int = LINES_A_MINUTE, seconds: float = SUMMARY_SECONDS) -> None:
        self._log = log
        self._limit = lines
        self._seconds = seconds
        self._counts: dict[tuple[str, str], int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def admits(self, event: str, kind: str) -> bool:
        """Count a line of ``event`` and ``kind``, which are fixed words; whether it is to be written."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._summarise)
        count = self._counts[event, kind] = self._counts.get((event, kind), 0) + 1
        return count <= self._limit

    def close(self) -> None:
        """Write what is to be summarised now."""
        if self._timer is not None:
            self._timer.cancel()
            self._summarise()

    def _summarise(self) -> None:
        counts, self._counts, self._timer = self._counts, {}, None
        for (event, kind), count in counts.items():
            if count > self._limit:
                left_out = count - self._limit
                self._log.info("log.summary", of=event, kind=kind, left_out=left_out, seconds=self._seconds)


def _shown(path: str) -> str:
    """Make a path that any sender may have chosen fit for a log line: short, printable, without phone numbers."""
    return masking.numbers(plain_text(path[:PATH_LIMIT]) or "")


def _lag(entry: RequestRecord) -> float | None:
    """Measure, of a new event, how many seconds after the provider's own timestamp it arrived."""
    if entry.verdict is not Verdict.VERIFIED or entry.callback is None or entry.verification is None:
        return None
    fields = entry.verification.reading.fields if entry.verification.reading else {}
    # The SMS API's "timestamp" is the time of signing; "message-timestamp" is when it started to push.
    sent_at = instant(fields.get("message-timestamp") or fields.get("timestamp"))
    return None if sent_at is None else round(entry.callback.received_at - sent_at.timestamp(), 3)
