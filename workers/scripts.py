"""The Lua scripts of this package, each in a file of its own that says what it does."""

from pathlib import Path

from redis import Redis
from redis.commands.core import Script


def script(redis: Redis, name: str) -> Script:
    """The script in ``<name>.lua``; it loads itself again when the server has forgotten it."""
    return redis.register_script(Path(__file__).with_name("lua").joinpath(f"{name}.lua").read_text())
