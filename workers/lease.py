"""Let one of several processes do something alone, by a key in Redis that its holder keeps alive."""

from typing import Final

from redis import Redis

from ackfirst.workers.scripts import script

#: Time for which a lease holds: so long its work waits when its holder was killed.
LEASE_SECONDS: Final = 5.0


class Lease:
    """The right to do something alone, for ``seconds`` at a time. ``token`` must be unique."""

    def __init__(self, redis: Redis, key: str, *, token: str, seconds: float = LEASE_SECONDS) -> None:
        self._redis = redis
        self._key = key
        self._token = token
        self._milliseconds = int(seconds * 1000)
        self._prolong = script(redis, "lease")

    def hold(self) -> bool:
        """Take or renew the lease; returns whether it is ours now."""
        if self._prolong(keys=[self._key], args=[self._token, self._milliseconds]):
            return True
        return bool(self._redis.set(self._key, self._token, nx=True, px=self._milliseconds))

    def release(self) -> None:
        """Give the lease back, if it is ours."""
        self._prolong(keys=[self._key], args=[self._token, 0])
