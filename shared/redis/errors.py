"""Recognise replies of Redis that mean "not now", which redis-py does not tell from a mistake in a command."""

from typing import Final

from redis._parsers.base import BaseParser
from redis.exceptions import ResponseError

#: First words of such replies. NOREPLICAS: fewer replicas than ``min-replicas-to-write``. MISCONF: the server cannot
#: write to its disk (it refuses even PING). BUSY: a script has run for longer than ``busy-reply-threshold``.
PASSING: Final = ("NOREPLICAS", "MISCONF", "BUSY")


class NotNowError(ResponseError):
    """Redis is up and has its data, but takes no writes until an operator acts or another command has ended."""


# A borrowed internal, see docs/architecture.md: redis-py maps first words to exception classes here, for every parser.
# Without it each caller would have to read the message of every ResponseError.
BaseParser.EXCEPTION_CLASSES.update(dict.fromkeys(PASSING, NotNowError))
