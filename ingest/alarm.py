"""Raise the alarm for unconfirmed accounts: one line and one metric when it begins and when it ends."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from ackfirst.ingest.metrics import IngestMetrics
from ackfirst.ingest.receiver import CallbackVerifier
from ackfirst.ingest.request_log import Log
from ackfirst.ingest.unconfirmed import NO_ACCOUNT, Change, Suspect, UnconfirmedAccounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.verification import FROM_THE_FUTURE, Verification

#: Seconds between two lines about a clock that is behind the provider's.
CLOCK_ALARM_SECONDS: Final = 60.0


class Alarm:
    """A verifier around another one that logs and counts which accounts become suspect."""

    def __init__(self, verifier: CallbackVerifier, ours: Iterable[str], *, log: Log, metrics: IngestMetrics) -> None:
        self._verifier = verifier
        self._suspects = UnconfirmedAccounts(frozenset(ours))
        self._log = log
        self._metrics = metrics
        self._clock_said_at = float("-inf")
        for account in (*self._suspects.ours, NO_ACCOUNT):
            metrics.set_unconfirmed(account, is_unconfirmed=False)

    def verify(self, callback: Callback, *, now: float) -> Verification:
        """Verify a callback at Unix time ``now``."""
        verification = self._verifier.verify(callback, now=now)
        if verification.reason == FROM_THE_FUTURE and abs(now - self._clock_said_at) >= CLOCK_ALARM_SECONDS:
            self._clock_said_at = now
            check = "the clock of this machine: the provider's tokens are of later than now"
            self._log.warning("clock.behind", skew=verification.skew, account=verification.account, check=check)
        for change in self._suspects.observe(verification, now):
            self._announce(change)
        if self._suspects.forget_silent(now):
            self._count_unknown()
        return verification

    def shown(self) -> list[dict[str, Any]]:
        """Return, for ``/readyz``, the accounts whose callbacks are all unconfirmed, and since when."""
        return [_fields(suspect) for suspect in self._suspects.all()]

    def _announce(self, change: Change) -> None:
        suspect = change.suspect
        if suspect.ours:
            self._metrics.set_unconfirmed(suspect.account, is_unconfirmed=not change.is_well)
        if change.is_well:
            self._log.info("account.confirmed-again", **_fields(suspect), then="ackfirst quarantine recheck")
        else:
            check = "its secrets" if suspect.ours else "whether it is missing from the accounts"
            self._log.warning("account.unconfirmed", **_fields(suspect), check=check)
        self._count_unknown()

    def _count_unknown(self) -> None:
        self._metrics.unknown_accounts.set(sum(not one.ours for one in self._suspects.all()))


def _fields(suspect: Suspect) -> dict[str, Any]:
    return {
        "account": suspect.account if suspect.ours else None,
        **({} if suspect.ours else {"claimed_account": suspect.account}),
        "since": datetime.fromtimestamp(suspect.since, UTC).isoformat(timespec="seconds"),
        "callbacks": suspect.callbacks,
        "reason": suspect.reason,
    }
