"""Redis clients for every kind of URL, and the question whether a server answers there at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from ackfirst.shared import masking
from ackfirst.shared.errors import ConfigurationError, RedisAway
from ackfirst.shared.redis import certificates, sentinel_url
from ackfirst.shared.redis.errors import NotNowError
from ackfirst.shared.redis.packing import packed_by_hiredis

#: What time does not mend: a password, a user's rights, a database that there is not.
_REFUSALS: Final = (AuthenticationError, NoPermissionError, ResponseError)

_CHECK: Final = "check ACKFIRST_REDIS_URL"

#: What says that a server did not do what was asked. ``RuntimeError``: uvloop, of a connection that was closed in the
#: middle of a write (``uvloop/handles/handle.pyx``), which redis-py passes on as it is.
FAILURES: Final = (RedisError, OSError, RuntimeError)

#: Seconds of silence after which a connection is asked whether it is still there before it is used.
HEALTH_CHECK_INTERVAL: Final = 30


def sync_redis(url: str, *, timeout: float = 5.0, **options: Any) -> redis.Redis:
    """A client that connects when it is first used.

    Args:
        url: ``redis://``, ``rediss://``, ``unix://`` or ``redis+sentinel://`` (``sentinel_url``). What its
            query names wins over the arguments here.
        timeout: Seconds to connect, and to wait for an answer.
        options: Passed to redis-py's connections, for example ``retry``.

    Raises:
        ConfigurationError: The URL cannot be understood.
    """
    arguments = {**_arguments(url, timeout), **options}
    with _understood(url):
        if url.startswith(sentinel_url.SCHEME):
            parsed = sentinel_url.parse(url)
            sentinels: Any = Sentinel(parsed.hosts, sentinel_kwargs={**arguments, **parsed.sentinel})  # type: ignore[no-untyped-call]
            client: redis.Redis = sentinels.master_for(parsed.service, **{**arguments, **parsed.master})
        else:
            client = redis.Redis.from_url(url, **arguments)
        _try_arguments(client.connection_pool)
    return client


def async_redis(url: str, *, timeout: float = 5.0, max_connections: int = 10, **options: Any) -> redis.asyncio.Redis:
    """The same for asyncio; with a plain URL, a call waits while ``max_connections`` are in use.

    Raises:
        ConfigurationError: The URL cannot be understood.
    """
    arguments = {**_arguments(url, timeout), "max_connections": max_connections, **options}
    with _understood(url):
        if url.startswith(sentinel_url.SCHEME):
            parsed = sentinel_url.parse(url)
            sentinels: Any = AsyncSentinel(parsed.hosts, sentinel_kwargs={**arguments, **parsed.sentinel})  # type: ignore[no-untyped-call]
            client: redis.asyncio.Redis = sentinels.master_for(parsed.service, **{**arguments, **parsed.master})
        else:
            pool = redis.asyncio.BlockingConnectionPool.from_url(url, timeout=timeout, **arguments)
            pool.connection_class = packed_by_hiredis(pool.connection_class)
            client = redis.asyncio.Redis.from_pool(pool)
        _try_arguments(client.connection_pool)
    return client


def reachable(url: str, *, timeout: float = 5.0) -> None:
    """Ask the server at ``url`` for an answer, once. One that loads its data, or takes no writes now, counts as there.

    Raises:
        RedisAway: Nobody answers within ``timeout`` seconds.
        ConfigurationError: It refuses us, or we cannot trust its certificate.
    """
    with sync_redis(url, timeout=timeout, retry=Retry(NoBackoff(), 0)) as client:
        if trouble := certificates.unusable_file(client.connection_pool.connection_kwargs):
            raise ConfigurationError(f"the Redis URL {masking.url(url)} cannot be used: {trouble}, {_CHECK}")
        try:
            client.ping()
        except (BusyLoadingError, NotNowError):
            return
        except FAILURES as error:
            raise _unreachable(url, _underlying(client, error)) from error


def _underlying(client: redis.Redis, error: Exception) -> Exception:
    """What each of the Sentinels has against us, when all of them have: redis-py only says that none named a master."""
    if not isinstance(error, MasterNotFoundError):
        return error
    pool: Any = client.connection_pool
    errors = list(filter(None, map(_complaint, pool.sentinel_manager.sentinels)))
    return errors[0] if len(errors) == len(pool.sentinel_manager.sentinels) else error


def _complaint(sentinel: redis.Redis) -> Exception | None:
    try:
        sentinel.ping()
    except FAILURES as error:
        return error
    return None


def _unreachable(url: str, error: Exception) -> ConfigurationError:
    why = str(error).rstrip(". ") or type(error).__name__
    lasting = isinstance(error, _REFUSALS)
    if refused := certificates.refusal(error):
        why, is_of_time = refused
        lasting = not is_of_time
    kind = ConfigurationError if lasting else RedisAway
    return kind(f"cannot reach Redis at {masking.url(url)}: {why}, {_CHECK}")


def _arguments(url: str, timeout: float) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "health_check_interval": HEALTH_CHECK_INTERVAL,
    }
    return arguments if url.startswith("unix://") else {**arguments, "socket_keepalive": True}


@contextmanager
def _understood(url: str) -> Iterator[None]:
    """Errors of URL parsers become one of ours. Their own words may hold a piece of a password: they are dropped."""
    try:
        _check_unix(url)
        yield
    except sentinel_url.UrlError as error:
        raise ConfigurationError(f"the Redis URL {masking.url(url)} cannot be used: {error}, {_CHECK}") from None
    except (ValueError, TypeError):
        raise ConfigurationError(
            f"the Redis URL {masking.url(url)} cannot be understood: {_CHECK} "
            "(special characters of a password are percent-encoded, options are those of redis-py)"
        ) from None


def _check_unix(url: str) -> None:
    if url.startswith("unix://") and urlsplit(url).hostname:
        raise sentinel_url.UrlError("a unix URL has three slashes, unix:///path/to/socket")


def _try_arguments(pool: Any) -> None:
    """Make one connection object, unconnected: an unknown option shows now instead of at the first call."""
    pool.connection_class(**pool.connection_kwargs)
