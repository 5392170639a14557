"""Check Nexmo's side of each account whose account secret is configured."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ackfirst.ops.nexmo_api import NexmoApi, NexmoApiError
from ackfirst.ops.webhooks.show import Row, application_rows, number_rows, sms_rows
from ackfirst.ops.webhooks.urls import messages_webhooks, wanted_sms_settings, without_token
from ackfirst.shared.accounts import Account
from ackfirst.shared.findings import Finding, Findings, error, warning
from ackfirst.shared.plural import plural

#: Seconds by which this machine's clock may differ from Nexmo's.
CLOCK_SECONDS: Final = 5.0
DAY: Final = 86_400.0
#: Seconds without a callback after which an application that points here counts as silent.
SILENT_SECONDS: Final = 7 * DAY
#: Account balance (EUR) below which messages may soon not be sent.
LOW_BALANCE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """The Unix second of each application's last verified callback, by account and application id."""

    last: Mapping[tuple[str, str], float]
    watched_since: float | None
    """Since when such callbacks are known."""


async def nexmo_findings(
    api: NexmoApi, account: Account, public_url: str | None, traffic: Traffic, *, now: float
) -> AsyncIterator[Finding]:
    """Yield what is set wrongly at Nexmo, and what the account lacks."""
    try:
        async for finding in _of_account(api, account):
            yield finding
        if public_url is None:
            yield warning(
                "public-url-none",
                "the public URL is not known, so webhook URLs at Nexmo cannot be compared with it",
                "set ACKFIRST_PUBLIC_URL",
            )
            return
        async for finding in _of_webhooks(api, account, public_url, traffic, now):
            yield finding
    except NexmoApiError as problem:
        yield error(
            "nexmo-api", f"account {account.api_key} could not be looked at: {problem}", "ackfirst webhooks show"
        )


async def _of_account(api: NexmoApi, account: Account) -> AsyncIterator[Finding]:
    balance = await api.balance()
    if balance.is_low(LOW_BALANCE):
        yield warning(
            "balance-low",
            f"account {account.api_key} has {balance.value:.2f} EUR left and does not reload itself",
            "top up in Nexmo's dashboard",
        )
    if abs(skew := balance.clock_skew_seconds or 0.0) > CLOCK_SECONDS:
        yield warning(
            "clock-nexmo",
            f"this machine's clock is {skew:.0f} s off Nexmo's: the age of callbacks is shown wrong",
            "let it follow NTP: timedatectl status",
        )


async def _of_webhooks(
    api: NexmoApi, account: Account, public_url: str, traffic: Traffic, now: float
) -> AsyncIterator[Finding]:
    rows: list[Row] = []
    async for application in api.applications():
        of_it = list(application_rows(account.api_key, application, public_url))
        rows.extend(of_it)
        for finding in (*_methods(application), *_silence(account, application, of_it, traffic, now)):
            yield finding
    wanted = wanted_sms_settings(public_url, account)
    rows.extend(sms_rows(account.api_key, await api.sms_settings(), wanted))
    for row in rows:
        if row.differs:
            yield warning(
                "webhook-differs",
                f"{row.where}, {row.webhook}: set is {without_token(row.url) or '(nothing)'}, ours is "
                f"{without_token(row.wanted or '')}",
                "ackfirst webhooks set --all --dry-run",
            )
    async for number in api.numbers():
        for row in number_rows(account.api_key, number, wanted):
            if row.differs:
                yield warning(
                    "number-overrides",
                    f"{row.where} sends inbound SMS to {without_token(row.url)} instead of the account's URL",
                    "change the number's webhook in Nexmo's dashboard",
                )


def _methods(application: Mapping[str, Any]) -> Findings:
    """Yield messages webhooks that are not called by POST, the only method that Nexmo documents for them."""
    for name, webhook in messages_webhooks(application).items():
        method = str(webhook.get("http_method", "POST")) if isinstance(webhook, Mapping) else "POST"
        if method.upper() != "POST":
            yield warning(
                "webhook-method",
                f"application {application.get('id')}, {name}: its method is {method}, and Nexmo documents only POST",
                "set it to POST in Nexmo's dashboard",
            )


def _silence(
    account: Account, application: Mapping[str, Any], rows: list[Row], traffic: Traffic, now: float
) -> Findings:
    """Yield an application that points at us and has sent nothing for long."""
    if not rows or any(row.differs for row in rows):
        return
    watched_for = now - (now if traffic.watched_since is None else traffic.watched_since)
    last = traffic.last.get((account.api_key, str(application.get("id"))))
    silent_for = watched_for if last is None else now - last
    if silent_for > SILENT_SECONDS:
        days = plural(round(silent_for / DAY), "day")
        since = "nothing came from it yet" if last is None else f"its last callback came {days} ago"
        yield warning(
            "application-silent",
            f"application {application.get('id')} ({application.get('name')}) points here, but {since}",
            f"send a message through it; or, if it is not needed any more: ackfirst apps quiet {application.get('id')}",
        )
