"""Make rows of what is set at Nexmo, compared with what this installation wants."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ackfirst.ops.nexmo_api import SmsSettings
from ackfirst.ops.webhooks.urls import has_messages, messages_url, wanted_messages_urls, without_token


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One webhook URL at Nexmo."""

    account: str
    where: str
    """``application <id> (<name>)``, ``account`` or ``number <msisdn>``."""
    webhook: str
    url: str
    """As it is set at Nexmo; empty if it is not."""
    wanted: str | None
    """As it should be for this installation; None when nothing is wanted or known."""
    note: str = ""

    @property
    def differs(self) -> bool:
        """True if the URL is not the wanted one."""
        return self.wanted is not None and self.url != self.wanted

    def as_dict(self) -> dict[str, Any]:
        """Return the row as JSON: URL parameters are hidden, they may hold a secret."""
        wanted = None if self.wanted is None else without_token(self.wanted)
        return {
            "account": self.account,
            "where": self.where,
            "webhook": self.webhook,
            "url": without_token(self.url),
            "wanted": wanted,
            "differs": self.differs,
            "note": self.note,
        }

    def cells(self) -> tuple[str, ...]:
        """Return the row as the cells of a table."""
        if self.differs:
            verdict = f"differs: should be {without_token(self.wanted or '')}"
        else:
            verdict = "ok" if self.wanted is not None else ""
        remark = "; ".join(part for part in (verdict, self.note) if part)
        return self.account, self.where, self.webhook, without_token(self.url) or "(not set)", remark


def application_rows(account: str, application: Mapping[str, Any], public_url: str | None) -> Iterator[Row]:
    """Yield the messages webhooks of an application, if it has any."""
    if not has_messages(application):
        return
    where = f"application {application.get('id')} ({application.get('name')})"
    wanted = wanted_messages_urls(public_url) if public_url else {}
    version = application["capabilities"]["messages"].get("version") or "v1"
    for name in ("inbound_url", "status_url"):
        url = messages_url(application, name)
        yield Row(
            account=account, where=where, webhook=name, url=url, wanted=wanted.get(name), note=f"format {version}"
        )


def sms_rows(account: str, found: SmsSettings, wanted: SmsSettings | None) -> Iterator[Row]:
    """Yield the account's two URLs for the SMS API."""
    pairs = (
        ("inbound SMS", found.inbound_url, wanted.inbound_url if wanted else None),
        ("delivery receipt", found.receipt_url, wanted.receipt_url if wanted else None),
    )
    for webhook, url, ours in pairs:
        yield Row(account=account, where="account", webhook=webhook, url=url, wanted=ours)


def number_rows(account: str, number: Mapping[str, Any], wanted: SmsSettings | None) -> Iterator[Row]:
    """Yield a number that has a URL of its own for inbound SMS, or is linked to an application."""
    url, application = str(number.get("moHttpUrl") or ""), number.get("app_id")
    where = f"number {number.get('msisdn')}"
    if url:
        ours = wanted.inbound_url if wanted else None
        note = "takes the place of the account's URL"
        yield Row(account=account, where=where, webhook="inbound SMS", url=url, wanted=ours, note=note)
    if application:
        note = f"linked to application {application}"
        yield Row(account=account, where=where, webhook="application", url="", wanted=None, note=note)
