"""Create Redis clients for every supported URL, and check at the start that the server answers and lets us work."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from ackfirst.shared import masking
from ackfirst.shared.errors import ConfigurationError, RedisUnavailableError
from ackfirst.shared.queue import keys
from ackfirst.shared.redis import certificates, rights
from ackfirst.shared.redis.errors import NotNowError
from ackfirst.shared.redis.url import SENTINEL, TLS, UNIX, RedisUrl, RedisUrlError, parse

#: Errors that waiting does not repair: a wrong password, missing rights, a database that does not exist.
_REFUSALS: Final = (AuthenticationError, NoPermissionError, ResponseError)

_CHECK: Final = "check ACKFIRST_REDIS_URL"

#: Every exception of a command that failed. ``RuntimeError``: uvloop raises it for a connection that was closed in the
#: middle of a write (``uvloop/handles/handle.pyx``), and redis-py does not wrap it.
FAILURES: Final = (RedisError, OSError, RuntimeError)

#: An idle connection is checked with PING before its next use after this many seconds.
HEALTH_CHECK_SECONDS: Final = 30


class _PackedByHiredis:
    """Packs commands as redis-py's blocking connections do: its asyncio connections pack each argument in Python.

    A batch of ten events takes 57 microseconds to pack in Python, and 19 in hiredis. Through Sentinel, connections are
    redis-py's own.
    """

    def pack_command(self, *args: Any) -> list[bytes]:
        """Pack one command in Redis's protocol."""
        packed: list[bytes] = HiredisRespSerializer().pack(*args)
        return packed


class _TcpConnection(_PackedByHiredis, redis.asyncio.Connection):
    """A connection through a port."""


class _TlsConnection(_PackedByHiredis, redis.asyncio.SSLConnection):
    """A connection through a port, with TLS."""


class _UnixConnection(_PackedByHiredis, redis.asyncio.UnixDomainSocketConnection):
    """A connection through a unix socket."""


_SYNC_CONNECTIONS: Final[Mapping[str, Any]] = {TLS: redis.SSLConnection, UNIX: redis.UnixDomainSocketConnection}
_ASYNC_CONNECTIONS: Final[Mapping[str, Any]] = {TLS: _TlsConnection, UNIX: _UnixConnection}


def sync_redis(url: str, *, timeout: float = 5.0, **options: Any) -> redis.Redis:
    """Create a client; it connects at its first command.

    Args:
        url: A URL that ``redis.url.parse`` supports. Its own timeouts win over ``timeout``.
        timeout: Seconds to connect, and to wait for a reply.
        options: Passed to redis-py's connections, for example ``retry``.

    Raises:
        ConfigurationError: The URL is not supported.
    """
    parsed = _parse(url)
    defaults = {**_defaults(parsed, timeout), **options}
    if parsed.scheme == SENTINEL:
        sentinels: Any = Sentinel(parsed.sentinels, sentinel_kwargs={**defaults, **parsed.sentinel})  # type: ignore[no-untyped-call]
        client: redis.Redis = sentinels.master_for(parsed.service, **{**defaults, **parsed.server})
        return client
    connection_class = _SYNC_CONNECTIONS.get(parsed.scheme, redis.Connection)
    pool = redis.ConnectionPool(connection_class=connection_class, **{**defaults, **parsed.server})
    return redis.Redis.from_pool(pool)


def async_redis(url: str, *, timeout: float = 5.0, max_connections: int = 10, **options: Any) -> redis.asyncio.Redis:
    """Create a client for asyncio. Without Sentinel, a command waits while ``max_connections`` are in use.

    Raises:
        ConfigurationError: The URL is not supported.
    """
    parsed = _parse(url)
    defaults = {**_defaults(parsed, timeout), "max_connections": max_connections, **options}
    if parsed.scheme == SENTINEL:
        sentinels: Any = AsyncSentinel(parsed.sentinels, sentinel_kwargs={**defaults, **parsed.sentinel})  # type: ignore[no-untyped-call]
        client: redis.asyncio.Redis = sentinels.master_for(parsed.service, **{**defaults, **parsed.server})
        return client
    connection_class = _ASYNC_CONNECTIONS.get(parsed.scheme, _TcpConnection)
    pool = redis.asyncio.BlockingConnectionPool(
        connection_class=connection_class, timeout=timeout, **{**defaults, **parsed.server}
    )
    return redis.asyncio.Redis.from_pool(pool)


def reachable(url: str, *, timeout: float = 5.0, spaces: Sequence[str] = keys.SPACES) -> None:
    """Check once that the server answers, and that its user may write in each of ``spaces`` (prefixes of keys).

    A server that loads its data or takes no writes at the moment counts as reachable.

    Raises:
        RedisUnavailableError: No answer within ``timeout`` seconds.
        ConfigurationError: The server refuses us, a right is missing, or its certificate is not trusted.
    """
    parsed = _parse(url)
    if trouble := certificates.unusable_file(parsed.server):
        raise ConfigurationError(f"the Redis URL {masking.url(url)} cannot be used: {trouble}, {_CHECK}")
    with sync_redis(url, timeout=timeout, retry=Retry(NoBackoff(), 0)) as client:
        try:
            client.ping()
            missing = rights.missing(client, spaces)
        except (BusyLoadingError, NotNowError):
            return
        except FAILURES as error:
            raise _unreachable(url, _sentinels_error(client, error)) from error
    if missing:
        raise ConfigurationError(
            f"the user of the Redis URL {masking.url(url)} lacks rights: {'; '.join(missing)}: "
            "grant them as docs/settings.md lists them (ACL SETUSER)"
        )


def _sentinels_error(client: redis.Redis, error: Exception) -> Exception:
    """Return the first Sentinel's own error if every one has failed: redis-py only says that no master was found."""
    if not isinstance(error, MasterNotFoundError):
        return error
    pool: Any = client.connection_pool
    errors = list(filter(None, map(_ping_error, pool.sentinel_manager.sentinels)))
    return errors[0] if len(errors) == len(pool.sentinel_manager.sentinels) else error


def _ping_error(sentinel: redis.Redis) -> Exception | None:
    try:
        sentinel.ping()
    except FAILURES as error:
        return error
    return None


def _unreachable(url: str, error: Exception) -> ConfigurationError:
    reason = str(error).rstrip(". ") or type(error).__name__
    is_permanent = isinstance(error, _REFUSALS)
    if refused := certificates.refusal(error):
        reason, is_of_time = refused
        is_permanent = not is_of_time
    kind = ConfigurationError if is_permanent else RedisUnavailableError
    return kind(f"cannot reach Redis at {masking.url(url)}: {reason}, {_CHECK}")


def _defaults(parsed: RedisUrl, timeout: float) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "health_check_interval": HEALTH_CHECK_SECONDS,
    }
    return arguments if parsed.scheme == UNIX else {**arguments, "socket_keepalive": True}


def _parse(url: str) -> RedisUrl:
    try:
        return parse(url)
    except RedisUrlError as error:
        raise ConfigurationError(f"the Redis URL {masking.url(url)} cannot be used: {error}, {_CHECK}") from None
