"""Check the configuration against the newest quarantined callbacks: secrets, and how the SMS API signs."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal

from ackfirst.ops.quarantine.recheck import callback_of
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.findings import Findings, error, warning
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.sms_signature import METHODS, SmsMethod
from ackfirst.shared.policy import Verdict
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.verification import Verifier

Kind = Literal["confirmed", "unconfirmed", "unsigned-sms"] | SmsMethod
"""What a record turns out to be; a method: the SMS API signs with that one instead of the configured one."""

#: Seconds by which a verified callback may be older than the newest unconfirmed one, and still shows that the secret is
#: right.
QUIET_SECONDS: Final = 30.0

#: What the SMS API sends.
_SMS: Final = (Family.INBOUND_SMS, Family.DELIVERY_RECEIPT)


class _Judge:
    """Judges quarantined callbacks by today's accounts.

    Args:
        accounts: Ours.
        verifier: With today's secrets.
    """

    def __init__(self, accounts: Accounts, verifier: Verifier) -> None:
        self._accounts = accounts
        self._verifier = verifier
        self._by_method: Mapping[SmsMethod, Verifier] = {
            method: Verifier(Accounts(replace(account, sms_signature_method=method) for account in accounts))
            for method in METHODS
        }

    def judge(self, record: QuarantineRecord) -> tuple[str, Kind] | None:
        """Return the account and what the record turns out to be; None if it is of no account of ours."""
        found = self._verifier.verify(callback_of(record), now=record.received_at)
        if found.verdict in (Verdict.VERIFIED, Verdict.UNREADABLE):
            return record.account, "confirmed"
        if found.verdict is Verdict.SUSPECT and (signed := self._signed_with(record)):
            return signed
        if found.verdict is Verdict.UNSIGNED and found.family in _SMS and not record.account:
            return "(not named)", "unsigned-sms"
        if self._accounts.get(record.account) is None:
            return None
        if found.verdict is Verdict.UNSIGNED and found.family in _SMS:
            return record.account, "unsigned-sms"
        return (record.account, "unconfirmed") if found.verdict is Verdict.SUSPECT else None

    def _signed_with(self, record: QuarantineRecord) -> tuple[str, SmsMethod] | None:
        """Try the methods of the SMS API that are not configured."""
        for method, verifier in self._by_method.items():
            found = verifier.verify(callback_of(record), now=record.received_at)
            if found.verdict is Verdict.VERIFIED and found.account and found.reason == "sig":
                return found.account, method
        return None


def secrets_findings(
    accounts: Accounts,
    records: Iterable[QuarantineRecord],
    verifier: Verifier,
    *,
    verified: Mapping[tuple[str, str], float] = MappingProxyType({}),
) -> Findings:
    """Yield accounts whose newest quarantined callbacks today's configuration confirms, or should.

    Args:
        accounts: Ours.
        records: The newest records of the quarantine.
        verifier: With today's secrets.
        verified: Account and application → Unix second of the newest callback that was verified. An account with one
            that is not older than those in quarantine has the right secret: the others are forgeries.
    """
    judge = _Judge(accounts, verifier)
    counts: Counter[tuple[str, Kind]] = Counter()
    newest: dict[tuple[str, Kind], float] = {}
    for record in records:
        if found := judge.judge(record):
            counts[found] += 1
            newest[found] = max(record.received_at, newest.get(found, 0.0))
    for (api_key, kind), count in counts.items():
        if kind == "unconfirmed":
            last = max((at for (account, _), at in verified.items() if account == api_key), default=0.0)
            account = accounts.get(api_key)
            # Where unsigned callbacks are allowed, one that was accepted may say nothing of the secret.
            is_right = last >= newest[api_key, kind] - QUIET_SECONDS and not (account and account.allow_unsigned)
            if counts[api_key, "confirmed"] or is_right:
                continue
            yield error(
                "secret-unconfirmed",
                f"no secret of account {api_key} confirms its newest quarantined callbacks ({count} looked at)",
                "compare its secret with Nexmo's dashboard, restart ingest, then: ackfirst quarantine recheck",
            )
        elif kind == "unsigned-sms":
            yield warning(
                "sms-unsigned",
                f"{count} quarantined SMS callbacks of account {api_key} carry no signature: they reach no handler",
                "have signed webhooks of the SMS API switched on at Nexmo, or allow_unsigned (ackfirst.example.toml)",
            )
        elif kind in METHODS:
            yield error(
                "sms-signature-method",
                f"the SMS API signs for account {api_key} with {kind}, which is not configured ({count} looked at)",
                f'set sms_signature_method = "{kind}" (ACKFIRST_SMS_SIGNATURE_METHOD), restart ingest, then recheck',
            )
    if healed := sum(count for (_, kind), count in counts.items() if kind == "confirmed"):
        yield warning(
            "quarantine-healed",
            f"{healed} of the newest quarantined callbacks verify with today's configuration",
            "ackfirst quarantine recheck",
        )
