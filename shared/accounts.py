"""The accounts whose callbacks we accept, their secrets and applications, and the lane that each event goes to."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.sms_signature import SmsMethod

DEFAULT_LANE: Final = "default"

_LANE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

#: Separates account and application in the name of a lane that the configuration does not name. A configured name
#: cannot hold it, so no application id of one account can spell the lane of another.
_SEPARATOR: Final = "."

#: Characters of such a name, and of its two parts.
_MAX_LANE_CHARS: Final = 64
_MAX_ACCOUNT_CHARS: Final = 27
_MAX_APPLICATION_CHARS: Final = 36  # a UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One Nexmo application of an account, where the operator wants to say more about it than its id."""

    id: str
    name: str | None = None
    lane: str | None = None
    """Lane of its events; None: the account's lane, or one of this application alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One Nexmo account or sub-account."""

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
    """Lane of all its events; None: a lane for each of its applications."""
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
        """Find an account by its ``api_key``; None if it is not ours."""
        return self._by_key.get(api_key)

    def lane_of(self, account_key: str | None, application_id: str | None) -> str:
        """Choose the lane of a verified event.

        The first that exists of: the application's configured lane, the account's configured lane,
        ``default_lane(account_key, application_id)``. Accounts share a lane only where the configuration says so.
        """
        account = self._by_key.get(account_key or "")
        return _mapped_lane(account, application_id) or default_lane(account_key or None, application_id or None)


def default_lane(account_key: str | None, application_id: str | None) -> str:
    """Name the lane of an application, ``<api_key>.<application id>``; without one the ``api_key``, else ``default``.

    At most 64 characters of ``[A-Za-z0-9_.-]``. A part that is too long, or has other characters, becomes a hash of
    itself. An event that may be any account's has the application's lane ``default.<application id>``.
    """
    account = _part(account_key, _MAX_ACCOUNT_CHARS) if account_key else DEFAULT_LANE
    if application_id is None:
        return account
    return f"{account}{_SEPARATOR}{_part(application_id, _MAX_APPLICATION_CHARS)}"


def is_lane_name(text: str) -> bool:
    """Check that a configuration may name a lane so: 1 to 64 characters of ``[A-Za-z0-9_-]``."""
    return _LANE_NAME.fullmatch(text) is not None


def is_lane(text: str) -> bool:
    """Check that a lane may have this name, whether it is configured or a default one."""
    return all(map(is_lane_name, text.split(_SEPARATOR, 1))) and len(text) <= _MAX_LANE_CHARS


def _mapped_lane(account: Account | None, application_id: str | None) -> str | None:
    if account is None:
        return None
    application = account.applications.get(application_id or "")
    return (application.lane if application else None) or account.lane


@lru_cache(maxsize=1024)
def _part(text: str, longest: int) -> str:
    if len(text) <= longest and is_lane_name(text):
        return text
    return "x-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
