"""Waiting for Redis: a worker outlives every outage, and finishes what it had begun."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - redis-py's name for it
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,  # noqa: A004 - as above
    TryAgainError,
)

from ackfirst.shared.redis.errors import NotNowError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

Result = TypeVar("Result")

#: What passes by itself or once an operator has seen to the server: down, starting, failing over, full, busy.
OUTAGES: Final = (
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    OutOfMemoryError,
    ClusterDownError,
    TryAgainError,
    NoScriptError,  # redis-py loads a script again once a call; another flush may come in between
    NotNowError,
)

FIRST_PAUSE: Final = 0.1
"""Seconds; doubles with every failure in a row."""
LONGEST_PAUSE: Final = 2.0
"""Seconds. Short: the first event after an outage should not wait for us."""
RARELY: Final = 60.0
"""Seconds: the longest silence about an outage that goes on."""


class Retry(Protocol):
    """Runs an action on Redis, perhaps more than once."""

    def __call__(self, action: Callable[[], Result]) -> Result:
        """What the action returns."""


class RetryWhileUnavailable:
    """Repeats an action until Redis takes it. Actions must bear repetition: a lost reply is no lost write."""

    def __init__(self, *, log: "FilteringBoundLogger", sleep: Callable[[float], None] = time.sleep) -> None:
        self._log = log
        self._sleep = sleep

    def __call__(self, action: Callable[[], Result]) -> Result:
        """Return what ``action`` returns, whenever that may be. Other errors than outages are raised at once."""
        pause = FIRST_PAUSE
        waited = told = 0.0
        while True:
            try:
                result = action()
            except OUTAGES as error:
                if waited >= told:  # at once, then ever more rarely
                    words = f"{type(error).__name__}: {error}"
                    self._log.warning("redis.unavailable", error=words, waited_seconds=round(waited, 1))
                    told = waited + min(max(waited, LONGEST_PAUSE), RARELY)
                self._sleep(pause)
                waited += pause
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if waited:
                    self._log.info("redis.available", waited_seconds=round(waited, 1))
                return result


def try_once(action: Callable[[], Result]) -> Result:
    """Run ``action`` once: where somebody else, such as a stock RQ worker, decides about outages."""
    return action()
