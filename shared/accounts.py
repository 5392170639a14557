"""Whose callbacks we accept: accounts, their secrets and their applications, and the lane that each event goes to."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from ackfirst.shared.nexmo.callback import Family
from ackfirst.shared.nexmo.sms_signature import SmsMethod

DEFAULT_LANE: Final = "default"

_LANE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One Nexmo application of an account, where the operator wants to say more about it than its id."""

    id: str
    name: str | None = None
    lane: str | None = None
    """Lane of its events; None: the account's lane, or one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One Nexmo account (or sub-account) whose callbacks we accept."""

    api_key: str
    secrets: tuple[bytes, ...] = field(repr=False)
    """Signature secrets, all tried in this order: an old and a new one during a rotation."""
    api_secret: str | None = field(default=None, repr=False)
    """Account secret for Nexmo's management APIs; None: they cannot be used for this account."""
    name: str | None = None
    sms_signature_method: SmsMethod = "md5hash"
    """How the SMS API signs: a setting of the account at Nexmo."""
    allow_unsigned: frozenset[Family] = frozenset()
    """Families that are accepted without token or ``sig``."""
    url_token: str | None = field(default=None, repr=False)
    """Secret value of the webhook URL's ``token`` parameter, asked of callbacks that are allowed to be unsigned."""
    lane: str | None = None
    """Lane of all its events; None: one lane per application."""
    applications: Mapping[str, Application] = field(default_factory=dict, hash=False)
    """By application id; an application that is not listed is accepted all the same."""


class Accounts:
    """All configured accounts, in the order of the file. Immutable."""

    __slots__ = ("_by_key",)

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self._by_key = {account.api_key: account for account in accounts}

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def __repr__(self) -> str:
        return f"Accounts({', '.join(self._by_key)})"

    def get(self, api_key: str) -> Account | None:
        """The account of that ``api_key``; None if it is not ours."""
        return self._by_key.get(api_key)

    def lane_of(self, account_key: str | None, application_id: str | None) -> str:
        """The lane of a verified event.

        The first that is known of: the application's lane, the account's lane, the application id, the ``api_key``,
        ``default``. Always 1 to 64 characters of ``[A-Za-z0-9_-]``: whatever else is named becomes a hash of itself.
        """
        account = self._by_key.get(account_key or "")
        return _safe(_mapped_lane(account, application_id) or application_id or account_key or DEFAULT_LANE)


def is_lane_name(text: str) -> bool:
    """Whether a lane may be called that: 1 to 64 characters of ``[A-Za-z0-9_-]``."""
    return _LANE_NAME.fullmatch(text) is not None


def _mapped_lane(account: Account | None, application_id: str | None) -> str | None:
    if account is None:
        return None
    application = account.applications.get(application_id or "")
    return (application.lane if application else None) or account.lane


@lru_cache(maxsize=1024)
def _safe(lane: str) -> str:
    if is_lane_name(lane):
        return lane
    return "x-" + hashlib.sha256(lane.encode("utf-8", "surrogatepass")).hexdigest()[:16]
