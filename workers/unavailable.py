"""Repeat actions on Redis through an outage, so that a worker finishes what it has begun."""

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

#: Errors that pass by themselves, or once the server is repaired: down, starting, failing over, full, busy.
OUTAGES: Final = (
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    OutOfMemoryError,
    ClusterDownError,
    TryAgainError,
    NoScriptError,  # redis-py loads a script again, once a call; another flush may come in between
    NotNowError,
)

#: Pause after the first failure; it doubles with every further one.
FIRST_PAUSE_SECONDS: Final = 0.1
#: Longest pause. Short, because the first event after an outage waits for its end.
LONGEST_PAUSE_SECONDS: Final = 2.0
#: Longest time between two log lines about one outage.
LOG_INTERVAL_SECONDS: Final = 60.0


class Retry(Protocol):
    """Runs an action on Redis, perhaps more than once."""

    def __call__(self, action: Callable[[], Result]) -> Result:
        """Return what ``action`` returns."""


def retry_while_unavailable(log: "FilteringBoundLogger", *, sleep: Callable[[float], None] = time.sleep) -> Retry:
    """Make a ``Retry`` that repeats an action until Redis takes it; other errors than outages are raised at once.

    Actions must bear repetition: an answer that was lost is not a write that was lost.
    """

    def retry(action: Callable[[], Result]) -> Result:
        pause = FIRST_PAUSE_SECONDS
        waited = next_line = 0.0
        while True:
            try:
                result = action()
            except OUTAGES as error:
                if waited >= next_line:  # at once, then ever more rarely
                    text = f"{type(error).__name__}: {error}"
                    log.warning("redis.unavailable", error=text, waited_seconds=round(waited, 1))
                    next_line = waited + min(max(waited, LONGEST_PAUSE_SECONDS), LOG_INTERVAL_SECONDS)
                sleep(pause)
                waited += pause
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                if waited:
                    log.info("redis.available", waited_seconds=round(waited, 1))
                return result

    return retry


def try_once(action: Callable[[], Result]) -> Result:
    """Run ``action`` once: for a stock RQ worker, which handles outages itself."""
    return action()
