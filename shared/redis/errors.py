"""Answers of Redis that mean "not now", and that redis-py does not tell from a mistake in a command."""

from typing import Final

from redis._parsers.base import BaseParser
from redis.exceptions import ResponseError

#: First words of the answers. NOREPLICAS: fewer replicas than ``min-replicas-to-write``. MISCONF: it cannot write to
#: its disk; it says so even to PING. BUSY: a script has run for longer than ``busy-reply-threshold``.
PASSING: Final = ("NOREPLICAS", "MISCONF", "BUSY")


class NotNowError(ResponseError):
    """Redis is there and has its data, but takes nothing until somebody has seen to it, or something else has ended."""


# Where redis-py keeps its own classes for first words; every parser of its asks here.
BaseParser.EXCEPTION_CLASSES.update(dict.fromkeys(PASSING, NotNowError))
