"""What ``ackfirst dev`` says when everything is up: where to send callbacks, where to look, what is still missing."""

import os
from pathlib import Path

from ackfirst.ops.dashboard.password import USERNAME
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.nexmo.family import WEBHOOKS
from ackfirst.shared.policy import Policy
from ackfirst.shared.settings import Address, Settings

_LABEL = 11


def banner(settings: Settings, accounts: Accounts, *, queue: str) -> str:
    """The text, several lines. ``queue`` says in words where the events wait."""
    rows = [
        ("webhooks", [url(settings.listen[0]) + path for path in WEBHOOKS.values()]),
        ("admin", [f"{url(settings.admin_listen)}/readyz and /metrics"]),
        ("dashboard", [f"{url(settings.dashboard_listen)}/", _login(settings)]),
        ("queue", [queue]),
        ("data", [os.fspath(settings.data_dir.resolve())]),
        ("handlers", _handlers(settings)),
        ("accounts", _accounts(accounts, settings)),
    ]
    lines = [f"  {label if first else '':{_LABEL}}{text}" for label, texts in rows for first, text in _numbered(texts)]
    return "\n".join(["", "ackfirst is ready.", "", *lines, "", "Ctrl-C stops it.", ""])


def url(address: Address) -> str:
    """Where a browser on this machine finds a server that listens on ``address``."""
    return f"http://{address.local()}"


def _numbered(texts: list[str]) -> list[tuple[bool, str]]:
    return [(number == 0, text) for number, text in enumerate(texts)]


def _login(settings: Settings) -> str:
    # The path as it was given: short, and right for the folder that the user is in.
    place = (
        "ACKFIRST_DASHBOARD_PASSWORD"
        if settings.dashboard_password
        else f"the file {settings.data_dir / Path('dashboard-password')}"
    )
    return f"user {USERNAME}, password in {place}"


def _handlers(settings: Settings) -> list[str]:
    if settings.handlers:
        return [", ".join(settings.handlers)]
    return [
        "none: events are queued and then finish without anybody having seen them;",
        "set ACKFIRST_HANDLERS to your module, for example myapp.callbacks",
    ]


def _accounts(accounts: Accounts, settings: Settings) -> list[str]:
    if accounts:
        return [
            ", ".join(
                f"{account.api_key} ({account.name})" if account.name else account.api_key for account in accounts
            )
        ]
    answer = "200" if settings.policy is Policy.NEVER_STALL else "401"
    return [
        f"none: no callback can be verified; signed ones are answered {answer} and kept in quarantine.",
        "Set ACKFIRST_API_KEY and ACKFIRST_SIGNATURE_SECRET, or write ackfirst.toml",
    ]
