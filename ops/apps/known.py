"""List every application that is known: from traffic, from the configuration, from Nexmo."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from ackfirst.ops.apps import activity
from ackfirst.ops.apps.activity import Held
from ackfirst.ops.nexmo_api import NexmoApiError, api_of
from ackfirst.shared.accounts import Accounts, default_lane
from ackfirst.shared.errors import ConfigurationError, StoreUnavailableError
from ackfirst.shared.queue import keys
from ackfirst.shared.settings import Settings

#: Applications that only unconfirmed callbacks name, of which so many are listed: any sender may make them up.
MOST_UNCONFIRMED: Final = 20

Times = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One application, as it is listed."""

    account: str
    id: str
    """Empty: callbacks of the SMS API, which belong to no application."""
    name: str
    lane: str
    is_lane_shared: bool
    """True if the lane's events may be of other applications, too."""
    held: Held
    last_callback: float | None
    last_unconfirmed: float | None
    is_at_nexmo: bool | None
    """None: not asked."""

    def as_dict(self) -> dict[str, Any]:
        """Return the application as JSON; times are Unix seconds."""
        return {
            "account": self.account,
            "application": self.id,
            "name": self.name,
            "lane": self.lane,
            "lane_is_shared": self.is_lane_shared,
            "last_callback": self.last_callback,
            "last_unconfirmed": self.last_unconfirmed,
            "waiting": self.held.waiting,
            "retrying": self.held.retrying,
            "dead": self.held.dead,
            "at_nexmo": self.is_at_nexmo,
        }


@dataclass(frozen=True, slots=True)
class Listing:
    """All applications, and what could not be looked at."""

    applications: list[Application]
    left_out: int
    """Applications that only unconfirmed callbacks name, beyond the newest."""
    problems: list[str]
    was_nexmo_asked: bool
    """Whether an account has the secret with which its applications can be listed."""


async def list_applications(redis: Redis, settings: Settings, accounts: Accounts) -> Listing:
    """Gather all applications.

    Raises:
        Exception: One of ``FAILURES``: Redis does not answer.
    """
    names, problems = await _at_nexmo(settings, accounts)
    callbacks = {**recorded_times(settings)}
    for key, at in (await activity.last_times(redis, keys.LAST_CALLBACKS, accounts)).items():
        callbacks[key] = max(at, callbacks.get(key, 0.0))
    unconfirmed = await activity.last_times(redis, keys.LAST_UNCONFIRMED, accounts)
    configured = {(account.api_key, one.id): one.name for account in accounts for one in account.applications.values()}
    known = {*names, *callbacks, *configured}
    only_claimed = sorted(set(unconfirmed) - known, key=unconfirmed.__getitem__, reverse=True)
    listed = [*sorted(known), *only_claimed[:MOST_UNCONFIRMED]]
    lanes = {key: accounts.lane_of(*key) for key in listed}
    held = await activity.held_in_lanes(redis, sorted(set(lanes.values())))
    asked = {account for account, _ in names} | {account.api_key for account in accounts if account.api_secret}
    return Listing(
        [
            Application(
                account=account,
                id=id_,
                name=configured.get((account, id_)) or names.get((account, id_), ""),
                lane=lane,
                is_lane_shared=lane != default_lane(account or None, id_ or None),
                held=held[lane],
                last_callback=callbacks.get((account, id_)),
                last_unconfirmed=unconfirmed.get((account, id_)),
                is_at_nexmo=(account, id_) in names if account in asked and not problems and id_ else None,
            )
            for (account, id_), lane in lanes.items()
        ],
        max(0, len(only_claimed) - MOST_UNCONFIRMED),
        problems,
        bool(asked),
    )


async def _at_nexmo(settings: Settings, accounts: Accounts) -> tuple[dict[tuple[str, str], str], list[str]]:
    """Return the names of the applications of every account that can be asked, and a sentence for each trouble."""
    found: dict[tuple[str, str], str] = {}
    problems = []
    for account in accounts:
        if not account.api_secret:
            continue
        try:
            async with api_of(settings, account) as api:
                async for one in api.applications():
                    found[account.api_key, str(one.get("id"))] = str(one.get("name") or "")
        except NexmoApiError as error:
            problems.append(f"account {account.api_key}: {error}")
    return found, problems


def recorded_times(settings: Settings) -> dict[tuple[str, str], float]:
    """Read from the record when the last callback of each application came; empty if it is off, or cannot be read.

    Redis knows the same unless it has lost its data, which the record survives.
    """
    if settings.record_url is None:
        return {}
    from ackfirst.shared.store import open_store  # noqa: PLC0415 - SQLAlchemy takes a third of a second

    with suppress(ConfigurationError, StoreUnavailableError), open_store(settings.record_url) as store:
        return {(row.account, row.application_id): row.at for row in store.applications()}
    return {}
