"""What a handler may raise to say how its attempt ended."""

from typing import Final

#: Seconds, ten years: RQ's and Redis's times overflow far beyond.
LONGEST: Final = 315_360_000


class Discard(Exception):  # noqa: N818 - what a handler decides is no mistake
    """This handler has nothing to do with the event, now or later: it is finished, without retry."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class RetryLater(Exception):  # noqa: N818 - as above
    """Not now: call this handler again in ``seconds``. Counts as one of its attempts."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        if not 0 <= seconds <= LONGEST:
            raise ValueError(f"RetryLater wants a number of seconds from 0 to {LONGEST}, not {seconds!r}")
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


class ForcedStop(SystemExit):
    """The operator asked a second time: what runs is broken off, its job goes back to the lane uncharged."""
