"""Write what ``ackfirst dev`` shows when everything is up: where callbacks go, where to look, what is still missing."""

import os
from collections.abc import Mapping, Sequence

from ackfirst.ops.web.password import USERNAME, password_source
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.nexmo.family import WEBHOOKS
from ackfirst.shared.policy import Policy
from ackfirst.shared.settings import Address, Settings

_LABEL_WIDTH = 11


def banner(
    settings: Settings, accounts: Accounts, environ: Mapping[str, str], *, queue: str, public: Sequence[str] = ()
) -> str:
    """Return the text, several lines.

    Args:
        settings: Addresses, folders, handlers.
        accounts: Whose callbacks are verified.
        environ: Where the page's password may come from.
        queue: Says in words where the events wait.
        public: Lines on the tunnel, if there is one.
    """
    rows = [
        *([("public", list(public))] if public else []),
        ("webhooks", [url(settings.listen[0]) + path for path in WEBHOOKS.values()]),
        ("admin", [f"{url(settings.admin_listen)}/readyz and /metrics"]),
        ("page", [f"{url(settings.web_listen)}/", _login(settings, environ)]),
        ("queue", [queue]),
        ("data", [os.fspath(settings.data_dir.resolve())]),
        ("handlers", _handlers(settings)),
        ("accounts", _accounts(accounts, settings)),
    ]
    lines = [
        f"  {'' if number else label:{_LABEL_WIDTH}}{text}"
        for label, texts in rows
        for number, text in enumerate(texts)
    ]
    return "\n".join(["", "ackfirst is ready.", "", *lines, "", "Ctrl-C stops it.", ""])


def url(address: Address) -> str:
    """Return where a browser on this machine finds a server that listens on ``address``."""
    return f"http://{address.local()}"


def _login(settings: Settings, environ: Mapping[str, str]) -> str:
    return f"user {USERNAME}, password in {password_source(settings, environ)}"


def _handlers(settings: Settings) -> list[str]:
    if settings.handlers:
        return [", ".join(settings.handlers)]
    return [
        "none: events are queued, and no code of yours runs.",
        "Set ACKFIRST_HANDLERS to your module, for example myapp.callbacks",
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
