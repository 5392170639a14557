"""Compute which webhook URLs an installation wants, and change them in Nexmo's objects. Pure functions."""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from ackfirst.ops.nexmo_api import SmsSettings
from ackfirst.shared.accounts import Account
from ackfirst.shared.errors import ConfigurationError

#: Name in ``capabilities.messages.webhooks`` → path of ours. Nexmo sends these by POST only.
_MESSAGES_PATHS: Final[Mapping[str, str]] = {
    "inbound_url": "/webhooks/inbound-message",
    "status_url": "/webhooks/message-status",
}
_INBOUND_SMS_PATH: Final = "/webhooks/inbound-sms"
_RECEIPT_PATH: Final = "/webhooks/delivery-receipt"

_USER: Final = re.compile(r"^([a-z]+://).*@", re.DOTALL | re.IGNORECASE)

#: Fields of a GET's answer that are no part of the object and must not be sent back.
_NOT_CONTENT: Final = ("_links", "id")

Json = Any
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs between two JSON objects."""

    path: Path
    before: Json
    after: Json
    """None on either side where the field is absent."""

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {_shown(self.before)} → {_shown(self.after)}"


def check_public_url(url: str | None) -> str:
    """Return the installation's public base URL without a trailing slash.

    Raises:
        ConfigurationError: It is missing, is no absolute https URL, or has a query or fragment.
    """
    if not url:
        raise ConfigurationError("set ACKFIRST_PUBLIC_URL to the base URL at which Nexmo reaches ingest")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(f"ACKFIRST_PUBLIC_URL is {url!r}: use a base URL such as https://hooks.example.com")
    return url.rstrip("/")


def wanted_messages_urls(public_url: str) -> dict[str, str]:
    """Return the Messages API's URLs: ``inbound_url`` and ``status_url``."""
    return {name: public_url + path for name, path in _MESSAGES_PATHS.items()}


def wanted_sms_settings(public_url: str, account: Account) -> SmsSettings:
    """Return the SMS API's URLs, with the account's URL token where it has one."""
    query = f"?token={quote(account.url_token, safe='')}" if account.url_token else ""
    return SmsSettings(public_url + _INBOUND_SMS_PATH + query, public_url + _RECEIPT_PATH + query)


def has_messages(application: Mapping[str, Json]) -> bool:
    """Return True if an application can send and receive messages."""
    return _messages(application) is not None


def messages_webhooks(application: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the messages webhooks of an application by name; empty if it has none."""
    webhooks = (_messages(application) or {}).get("webhooks")
    return webhooks if isinstance(webhooks, Mapping) else {}


def messages_url(application: Mapping[str, Json], name: str) -> str:
    """Return the address of ``inbound_url`` or ``status_url``; an empty text if it is not set."""
    webhook = messages_webhooks(application).get(name)
    return str((webhook or {}).get("address") or "") if isinstance(webhook, Mapping) else ""


def content_of(application: Mapping[str, Json]) -> dict[str, Json]:
    """Return what a PUT must send to keep an application as it is: every field, also unknown ones."""
    return {key: copy.deepcopy(value) for key, value in application.items() if key not in _NOT_CONTENT}


def with_messages_urls(application: Mapping[str, Json], urls: Mapping[str, str]) -> dict[str, Json]:
    """Return the content of an application with other addresses for its messages webhooks and nothing else changed."""
    content = content_of(application)
    capabilities = content["capabilities"] = content.get("capabilities") or {}
    messages = capabilities["messages"] = capabilities.get("messages") or {}
    webhooks = messages["webhooks"] = messages.get("webhooks") or {}
    for name, address in urls.items():
        webhooks[name] = {"http_method": "POST", **(webhooks.get(name) or {}), "address": address}
    return content


def with_messages_webhooks_of(application: Mapping[str, Json], saved: Mapping[str, Json]) -> dict[str, Json]:
    """Return the content of an application with the messages webhooks of ``saved``, an earlier state of it."""
    content = content_of(application)
    old = _messages(saved)
    capabilities = content.setdefault("capabilities", {})
    if old is None:
        capabilities.pop("messages", None)
        return content
    messages = capabilities.setdefault("messages", copy.deepcopy(dict(old)))
    if "webhooks" in old:
        messages["webhooks"] = copy.deepcopy(old["webhooks"])
    else:
        messages.pop("webhooks", None)
    return content


def changes(before: Json, after: Json, path: Path = ()) -> Iterator[Change]:
    """Yield every value in which two JSON objects differ, with its path."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from changes(before.get(key), after.get(key), (*path, key))
    elif before != after:
        yield Change(path, before, after)


def without_token(url: str) -> str:
    """Return a URL for the eye: a user with a password, and the value of every query parameter, are hidden."""
    # By hand: what is set at Nexmo need not be a URL, and urlsplit refuses "https://[hooks". Greedy up to the last "@",
    # so that a password with a slash or an "@" in it does not shine through.
    place, mark, query = url.partition("?")
    hidden = "&".join(f"{part.partition('=')[0]}=•••" for part in query.split("&") if part)
    return _USER.sub(r"\1•••@", place) + mark + hidden


def _messages(application: Mapping[str, Json]) -> Mapping[str, Json] | None:
    capabilities = application.get("capabilities")
    found = capabilities.get("messages") if isinstance(capabilities, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _shown(value: Json) -> str:
    return "(not set)" if value in (None, "") else str(_hidden(value))


def _hidden(value: Json) -> Json:
    """Hide what URLs hold, also those deep in an object that was added or removed as a whole."""
    if isinstance(value, str):
        return without_token(value)
    if isinstance(value, Mapping):
        return {key: _hidden(one) for key, one in value.items()}
    return [_hidden(one) for one in value] if isinstance(value, list) else value
