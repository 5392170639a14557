"""Check Nexmo's side of each account whose account secret is configured."""

from collections.abc import AsyncIterator
from typing import Final

from ackfirst.ops.nexmo_api import NexmoApi, NexmoApiError
from ackfirst.ops.webhooks.show import Row, application_rows, number_rows, sms_rows
from ackfirst.ops.webhooks.urls import wanted_sms_settings, without_token
from ackfirst.shared.accounts import Account
from ackfirst.shared.findings import Finding, error, warning

#: Seconds by which this machine's clock may differ from Nexmo's.
CLOCK_SECONDS: Final = 5.0
#: Account balance (EUR) below which messages may soon not be sent.
LOW_BALANCE: Final = 1.0


async def nexmo_findings(api: NexmoApi, account: Account, public_url: str | None) -> AsyncIterator[Finding]:
    """Yield what is set wrongly at Nexmo, and what the account lacks."""
    try:
        async for finding in _findings(api, account, public_url):
            yield finding
    except NexmoApiError as problem:
        yield error(
            "nexmo-api", f"account {account.api_key} could not be looked at: {problem}", "ackfirst webhooks show"
        )


async def _findings(api: NexmoApi, account: Account, public_url: str | None) -> AsyncIterator[Finding]:
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
    if public_url is None:
        yield warning(
            "public-url-none",
            "the public URL is not known, so webhook URLs at Nexmo cannot be compared with it",
            "set ACKFIRST_PUBLIC_URL",
        )
        return
    rows: list[Row] = []
    async for application in api.applications():
        rows.extend(application_rows(account.api_key, application, public_url))
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
