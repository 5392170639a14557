"""Keep engines marked alive in Redis and report their exits, from a thread that waits for no handler."""

import secrets
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ackfirst.shared.processes.periodic import PeriodicThread
from ackfirst.shared.queue import keys
from ackfirst.shared.redis.client import sync_redis
from ackfirst.shared.settings import Settings
from ackfirst.workers.scripts import script

#: Time between two heartbeats.
HEARTBEAT_SECONDS: Final = 1.0
#: Time that the last reports may take when the pool ends.
CLOSE_SECONDS: Final = 3.0
#: Time to wait for Redis: short, because silence counts as death.
REDIS_TIMEOUT_SECONDS: Final = 2.0


def engine_name(pool: str, pid: int) -> str:
    """Name an engine of a pool, alike for the engine and its supervisor; ``pool`` must be unique."""
    return f"{pool}-{pid}"


class Heartbeat:
    """Sends heartbeats for the processes of one pool, and the causes of their deaths. Redis may be away meanwhile.

    As a supervisor's watcher it sends them from outside the engines: code that holds an engine's interpreter lock does
    not silence it. A heartbeat for a process that is no engine has no effect.
    """

    def __init__(self, connect: Callable[[], Redis], *, pool: str) -> None:
        self.pool = pool
        self._redis = connect()
        self._send, self._mark_dead = script(self._redis, "heartbeat"), script(self._redis, "mark_dead")
        self._lock = threading.Lock()
        self._living: set[str] = set()
        self._deaths: dict[str, str] = {}
        self._thread = PeriodicThread(self._report, seconds=HEARTBEAT_SECONDS, name="heartbeat", has_last_call=True)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the heartbeat of a new pool."""
        url = settings.redis_url.get_secret_value()
        return cls(
            lambda: sync_redis(url, timeout=REDIS_TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 1)),
            pool=secrets.token_hex(8),
        )

    def __enter__(self) -> Self:
        self._thread.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def started(self, pid: int) -> None:
        """Send heartbeats for this process from now on."""
        with self._lock:
            self._living.add(engine_name(self.pool, pid))

    def ended(self, pid: int, cause: str) -> None:
        """Report its death, at once."""
        name = engine_name(self.pool, pid)
        with self._lock:
            self._living.discard(name)
            self._deaths[name] = cause
        self._thread.wake()

    def close(self) -> None:
        """Send the last reports, for ``CLOSE_SECONDS`` at most."""
        self._thread.close(CLOSE_SECONDS)
        self._redis.close()

    def _report(self) -> None:
        with self._lock:
            living, deaths = sorted(self._living), dict(self._deaths)
        try:
            if living:
                self._send(keys=[keys.ENGINES], args=living)
            for name, cause in deaths.items():
                self._mark_dead(keys=[keys.ENGINES], args=[name, cause])
                with self._lock:
                    self._deaths.pop(name, None)
        except (RedisError, OSError):
            pass  # engines log the outage, and a janitor that saw it does not take the silence for death
