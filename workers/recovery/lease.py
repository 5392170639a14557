"""A lease in Redis: of several janitors, one works; when it dies, another one takes over."""

from redis import Redis

from ackfirst.workers.scripts import script


class Lease:
    """The right to do something alone, for ``seconds`` at a time.

    ``token`` must be nobody else's.
    """

    def __init__(self, redis: Redis, key: str, *, token: str, seconds: float) -> None:
        self._redis = redis
        self._key = key
        self._token = token
        self._milliseconds = int(seconds * 1000)
        self._prolong = script(redis, "lease")

    def hold(self) -> bool:
        """Take or renew the lease; whether it is ours now."""
        if self._prolong(keys=[self._key], args=[self._token, self._milliseconds]):
            return True
        return bool(self._redis.set(self._key, self._token, nx=True, px=self._milliseconds))

    def release(self) -> None:
        """Give the lease back, if it is ours."""
        self._prolong(keys=[self._key], args=[self._token, 0])
