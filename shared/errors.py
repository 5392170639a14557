"""What can go wrong, sorted by who must act.

A driver's own exception never leaves the module that talks to the driver: callers see these.
"""


class AckfirstError(Exception):
    """Base of every error that ackfirst raises on purpose."""


class ConfigurationError(AckfirstError):
    """The operator must change a setting or a file; the message is one sentence that names which.

    The command line prints the message without a traceback and exits with 2.
    """


class RedisAway(ConfigurationError):  # noqa: N818 - a state of the world
    """Nobody answers at the configured Redis. Perhaps the setting is wrong, perhaps it is only away for a while."""


class QueueUnavailable(AckfirstError):  # noqa: N818 - a state of the world, not a mistake
    """Redis could not take a write in time, or refused it. The event is not known to be durable."""


class EnvelopeError(AckfirstError, ValueError):
    """A queued text is not an envelope that this version can read; the message says why."""
