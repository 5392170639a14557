"""Define the exceptions by which a handler's attempt ends early."""

from typing import Final

#: Longest wait, ten years: times of RQ and Redis overflow far beyond.
LONGEST_SECONDS: Final = 315_360_000


class Discard(Exception):  # noqa: N818 - what a handler decides is no mistake
    """Finish this handler for the event without success and without retry."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class RetryLater(Exception):  # noqa: N818 - as above
    """Call this handler again in ``seconds``. Counts as one of its attempts."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        if not 0 <= seconds <= LONGEST_SECONDS:
            raise ValueError(f"RetryLater wants a number of seconds from 0 to {LONGEST_SECONDS}, not {seconds!r}")
        super().__init__(f"again in {seconds:g} s" + (f": {reason}" if reason else ""))
        self.seconds = float(seconds)
        self.reason = reason


class HandlerTimeout(BaseException):
    """The handler ran longer than its timeout.

    Not an ``Exception``, so that ``except Exception`` in a handler does not hold it up.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"ran longer than its timeout of {seconds:g} s")
        self.seconds = seconds
