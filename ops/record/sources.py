"""Open the record and the queue for a command, and end the command in one sentence when they do not answer."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

import click
from redis import Redis
from redis.exceptions import RedisError

from ackfirst.ops.record.live import LiveQueue
from ackfirst.ops.terminal import operator_settings
from ackfirst.shared.errors import ConfigurationError, StoreUnavailableError
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.shared.store import Store, open_store

#: Exit code for a finding or a failure. Wrong usage and an impossible configuration are 2.
FOUND: Final = 1


@dataclass(frozen=True, slots=True)
class Sources:
    """The places that a command reads."""

    settings: Settings
    store: Store | None
    """None if the record is off, or cannot be opened."""
    trouble: str | None
    """Why there is no store: a sentence for the operator; None if there is one."""
    live: LiveQueue
    """The queue; its methods raise ``RedisError`` if Redis does not answer."""

    @property
    def redis(self) -> Redis:
        """The client of the queue."""
        return self.live.redis


@contextmanager
def opened() -> Iterator[Sources]:
    """Open both for a ``with`` block. A record that cannot be opened is a trouble that the command may live with.

    Raises:
        ClickException: One of them did not answer within the block.
        ConfigurationError: A setting is impossible.
    """
    settings = operator_settings()
    accounts = [account.api_key for account in load_accounts(settings)]
    store, trouble = _store(settings)
    with closing(redis_client.sync_redis(settings.redis_url.get_secret_value())) as redis:
        try:
            yield Sources(settings, store, trouble, LiveQueue(redis, accounts=accounts))
        except StoreUnavailableError as error:
            raise click.ClickException(str(error)) from error
        except RedisError as error:
            raise click.ClickException(f"Redis does not answer: {error}, check ACKFIRST_REDIS_URL") from error
        finally:
            if store is not None:
                store.close()


@contextmanager
def recorded() -> Iterator[tuple[Sources, Store]]:
    """Open both for a command that cannot do without the record.

    Raises:
        ConfigurationError: The record is off, or cannot be opened.
        ClickException: As ``opened``.
    """
    with opened() as sources:
        if sources.store is None:
            raise ConfigurationError(sources.trouble or "the record is off")
        yield sources, sources.store


def _store(settings: Settings) -> tuple[Store | None, str | None]:
    url = settings.record_url
    if url is None:
        return None, "the record is off: ACKFIRST_STORE_URL is off"
    try:
        return open_store(url), None
    except (ConfigurationError, StoreUnavailableError) as error:
        return None, str(error)
