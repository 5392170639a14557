"""Gives signs of life for engines, and the news of their death, from a thread that waits for nobody."""

import secrets
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ackfirst.shared.queue import keys
from ackfirst.shared.redis.client import sync_redis
from ackfirst.shared.settings import Settings
from ackfirst.workers.scripts import script

#: Seconds between two signs of life.
BEAT: Final = 1.0
#: Seconds that the last news may take when the pool ends.
LAST_WORDS: Final = 3.0
#: Seconds to wait for Redis: short, because silence is taken for death.
TIMEOUT: Final = 2.0


def engine_name(pool: str, pid: int) -> str:
    """The name of a pool's engine, known to the engine and to its supervisor alike; ``pool`` is nobody else's."""
    return f"{pool}-{pid}"


def vigil(settings: Settings) -> "Vigil":
    """A vigil for a pool of its own."""
    url = settings.redis_url.get_secret_value()
    return Vigil(
        lambda: sync_redis(url, timeout=TIMEOUT, retry=Retry(NoBackoff(), 1)),
        pool=secrets.token_hex(8),
    )


class Vigil:
    """Beats for the processes of one pool while they run; a process that is no engine is beaten for in vain.

    A supervisor's watcher: it beats from outside the engines, so that code
    that holds an engine's interpreter lock does not silence it. While Redis is away it tries again with every beat.
    """

    def __init__(self, connect: Callable[[], Redis], *, pool: str) -> None:
        self._connect = connect
        self.pool = pool
        self._lock = threading.Lock()
        self._living: set[str] = set()
        self._news: dict[str, str] = {}
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._watch, name="vigil", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def started(self, pid: int) -> None:
        """Beat for this process from now on."""
        with self._lock:
            self._living.add(engine_name(self.pool, pid))

    def ended(self, pid: int, cause: str) -> None:
        """Tell that it is dead, at once."""
        name = engine_name(self.pool, pid)
        with self._lock:
            self._living.discard(name)
            self._news[name] = cause
        self._wake.set()

    def close(self) -> None:
        """Tell the last news, for a short time at most."""
        self._closing = True
        self._wake.set()
        self._thread.join(LAST_WORDS)

    def _watch(self) -> None:
        with self._connect() as redis:
            beat, obituary = script(redis, "beat"), script(redis, "obituary")
            while True:
                closing = self._closing
                with self._lock:
                    living, news = sorted(self._living), dict(self._news)
                try:
                    if living:
                        beat(keys=[keys.ENGINES], args=living)
                    for name, cause in news.items():
                        obituary(keys=[keys.ENGINES], args=[name, cause])
                        self._told(name)
                except (RedisError, OSError):
                    pass  # the engines speak of the outage, and silence is not death to a janitor that saw it
                if closing:
                    return
                self._wake.wait(BEAT)
                self._wake.clear()

    def _told(self, name: str) -> None:
        with self._lock:
            self._news.pop(name, None)
