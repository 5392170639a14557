"""Hold what the pages read: Redis, the record, the settings, and the names that the operator gave."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any, Final, Self, TypeVar

import structlog
from flask import current_app
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.errors import ConfigurationError, StoreUnavailableError
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.shared.settings.accounts_toml import parse_accounts
from ackfirst.shared.store import Store, open_store

T = TypeVar("T")

#: Seconds to wait for Redis: a page that waits longer is a page that hangs.
REDIS_TIMEOUT_SECONDS: Final = 2.0
#: Seconds until a store that could not be opened is tried again.
REOPEN_SECONDS: Final = 2.0
#: A page reads a few hundred pages of the file, and the process must stay small.
_CACHE_KIB: Final = 1_024
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


class Record:
    """Opens the record when a page first needs it: its recorder may make it only after this process has started.

    Args:
        url: URL of the store; None when the record is off.
        clock: Monotonic seconds.
    """

    def __init__(self, url: str | None, *, clock: Callable[[], float] = monotonic) -> None:
        self._url = url
        self._clock = clock
        self._store: Store | None = None
        self._refusal: tuple[float, str] | None = None
        self._lock = threading.Lock()

    @property
    def is_on(self) -> bool:
        """Return whether there is a record at all."""
        return self._url is not None

    def store(self) -> Store:
        """Return the open store.

        Raises:
            StoreUnavailableError: The record is off, not made yet, or its server does not answer; one sentence.
        """
        if self._url is None:
            raise StoreUnavailableError("The record is off (ACKFIRST_STORE_URL): what has ended is not kept.")
        with self._lock:
            if self._store is not None:
                return self._store
            now = self._clock()
            if self._refusal is None or now - self._refusal[0] > REOPEN_SECONDS:
                self._refusal = None
                try:
                    self._store = open_store(self._url, cache_kib=_CACHE_KIB)
                except ConfigurationError as error:
                    self._refusal = now, str(error)
                else:
                    return self._store
            raise StoreUnavailableError(self._refusal[1])

    def close(self) -> None:
        """Close the store, if it was opened."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The places that every page reads."""

    redis: Redis
    """Returns bytes; has a short time-out and does not retry."""
    settings: Settings
    names: Names = Names()
    record: Record
    clock: Callable[[], float] = time

    @property
    def store(self) -> Store:
        """The record's store.

        Raises:
            StoreUnavailableError: It cannot be read now.
        """
        return self.record.store()

    def accounts(self) -> Accounts:
        """Read today's accounts with their secrets, as ingest would at its start.

        Raises:
            ConfigurationError: The file or a secret is missing here.
        """
        return load_accounts(self.settings)

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
