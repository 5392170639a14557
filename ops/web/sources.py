"""Hold what the pages read: Redis, the record, the settings, and the names that the operator gave."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from time import time
from typing import Any, Final, Self, TypeVar

import structlog
from flask import current_app
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.accounts_toml import parse_accounts
from ackfirst.shared.store import Store

T = TypeVar("T")

#: Seconds to wait for Redis: a page that waits longer is a page that hangs.
REDIS_TIMEOUT_SECONDS: Final = 2.0
#: A page says at once that Redis is away, and asks again by itself.
_NO_RETRY: Final = 0

_EXTENSION: Final = "ackfirst"

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Names:
    """The names that the operator gave to accounts and applications."""

    accounts: Mapping[str, str] = field(default_factory=dict)
    """By API key."""
    applications: Mapping[str, str] = field(default_factory=dict)
    """By application id."""
    lanes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """Read them from ``ackfirst.toml``. Secrets may be missing from the file that is read here."""
        try:
            described = parse_accounts(settings.config.read_bytes(), os.fspath(settings.config))
        except FileNotFoundError:
            return cls()
        except (OSError, ConfigurationError) as error:
            logger.warning("web.no-names", file=os.fspath(settings.config), error=str(error))
            return cls()
        return cls.of(described)

    @classmethod
    def of(cls, described: list[Account]) -> Self:
        """Collect the names of described accounts."""
        accounts = Accounts(described)
        named = {account.api_key: account.name for account in accounts if account.name}
        applications: dict[str, str] = {}
        lanes: dict[str, str] = {}
        for account in accounts:
            for application in account.applications.values():
                if application.name:
                    applications[application.id] = application.name
                    lanes.setdefault(accounts.lane_of(account.api_key, application.id), application.name)
            if account.name:
                lanes.setdefault(accounts.lane_of(account.api_key, None), account.name)
        return cls(named, applications, lanes)

    def of_lane(self, lane: str) -> str | None:
        """Return the name of a lane; one of an application without a name has that of its account."""
        return self.lanes.get(lane) or self.lanes.get(lane.partition(".")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What every page reads."""

    redis: Redis
    """Returns bytes; has a short time-out and does not retry."""
    settings: Settings
    names: Names = Names()
    store: Store | None = None
    """The record; None when ``ACKFIRST_STORE_URL`` is ``off``."""
    clock: Callable[[], float] = time

    def run(self, work: Callable[[AsyncRedis], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine of the commands with a connection of its own.

        Raises:
            Exception: What the coroutine raises.
        """

        async def connected() -> T:
            retry = Retry(NoBackoff(), _NO_RETRY)
            url = self.settings.redis_url.get_secret_value()
            redis = redis_client.async_redis(url, timeout=REDIS_TIMEOUT_SECONDS, retry=retry)
            try:
                return await work(redis)
            finally:
                await redis.aclose()

        return asyncio.run(connected())

    def attach(self, app: Any) -> None:
        """Let the views of ``app`` find these sources."""
        app.extensions[_EXTENSION] = self


def sources() -> Sources:
    """Return the sources of the application that answers the current request."""
    found: Sources = current_app.extensions[_EXTENSION]
    return found
