"""Define the errors that ackfirst raises, sorted by whether an operator or time repairs them.

A driver's own exception stays in the module that talks to the driver: callers see only these.
"""


class AckfirstError(Exception):
    """Base of every error that ackfirst raises on purpose."""


class ConfigurationError(AckfirstError):
    """The operator must change a setting or a file; the message is one sentence that names which.

    The command line prints the message without a traceback and exits with code 2.
    """


class RedisUnavailableError(ConfigurationError):
    """No server answers at the configured Redis URL: the setting may be wrong, or Redis may be down for a while."""


class StoreUnavailableError(ConfigurationError):
    """The record's database cannot take or give rows now: gone, locked, full, or at another address."""


class QueueUnavailableError(AckfirstError):
    """Redis could not take a write in time, or refused it. The event is not known to be durable."""


class EnvelopeError(AckfirstError, ValueError):
    """A queued text is not an envelope that this version can read; the message says why."""
