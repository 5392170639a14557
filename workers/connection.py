"""Connect a process of the pool to Redis."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ackfirst.shared.redis.client import sync_redis
from ackfirst.shared.settings import Settings


def connect(settings: Settings) -> Redis:
    """Make a client with one reconnection, for a connection that the server has closed.

    Longer outages are for ``retry_while_unavailable``.
    """
    return sync_redis(settings.redis_url.get_secret_value(), retry=Retry(NoBackoff(), 1))
