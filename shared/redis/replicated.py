"""Run a script that writes, and return once so many replicas have what it wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError


class NotReplicatedError(RedisError):
    """Fewer replicas than wanted have confirmed a write. The master has it; whether it survives a failover is open."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """The number of replicas that must have a write before it counts."""

    count: int = 0
    seconds: float = 0.0
    """Longest wait for them."""

    @property
    def wait(self) -> tuple[str, int, int]:
        """The command of Redis that waits; its reply is the number of replicas that have all writes so far."""
        return "WAIT", self.count, max(1, int(self.seconds * 1000))  # 0 ms would wait for ever

    def check(self, reached: Any) -> None:
        """Compare a reply to ``wait``.

        Raises:
            NotReplicatedError: It is too small.
        """
        if reached < self.count:
            raise NotReplicatedError(
                f"{reached} of {self.count} replicas had it within {self.seconds:g} s, check ACKFIRST_REDIS_REPLICAS"
            )


#: Redis's own confirmation is enough.
MASTER_ONLY: Final = Replicas()


class WritingScript:
    """A script, known to Redis by the hash of its text.

    Args:
        text: Its source in Lua. It must write at every call, if only ``INCRBY`` by 0: ``WAIT`` looks at what its own
            connection has written, and an event that another connection wrote a moment ago must be waited for too.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._sha = sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, redis: Redis, keys: Sequence[str], arguments: Sequence[Any], replicas: Replicas) -> Any:
        """Run it in one round trip, the wait included.

        Raises:
            NotReplicatedError: Too few replicas have confirmed it in time.
            RedisError: As redis-py has it.
        """
        try:
            return await self._run(redis, keys, arguments, replicas)
        except NoScriptError:  # the server is new, restarted or was failed over to
            await redis.script_load(self._text)
            return await self._run(redis, keys, arguments, replicas)

    async def load(self, redis: Redis) -> None:
        """Make it known before its first run."""
        await redis.script_load(self._text)

    async def _run(self, redis: Redis, keys: Sequence[str], arguments: Sequence[Any], replicas: Replicas) -> Any:
        if not replicas.count:
            return await redis.evalsha(self._sha, len(keys), *keys, *arguments)
        async with redis.pipeline(transaction=False) as pipeline:
            pipeline.evalsha(self._sha, len(keys), *keys, *arguments)
            pipeline.execute_command(*replicas.wait)
            result, reached = await pipeline.execute()
        replicas.check(reached)
        return result
