"""Load the Lua scripts of this package; each file says what its script does."""

from redis import Redis
from redis.commands.core import Script

from ackfirst.shared.queue.scripts import source


def script(redis: Redis, name: str) -> Script:
    """Register ``lua/<name>.lua``; redis-py loads it again when the server has forgotten it."""
    return redis.register_script(source("ackfirst.workers", f"lua/{name}.lua"))
