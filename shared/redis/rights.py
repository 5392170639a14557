"""Check whether the Redis user has the rights that ackfirst needs: an ACL that forbids them shows at the start."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

import redis
from redis.exceptions import NoPermissionError

from ackfirst.shared.queue import keys

_SCRIPT: Final = files("ackfirst.shared.redis").joinpath("rights.lua").read_text()

#: No lane, job or worker is called this: keys that end in it do not exist, and no set holds it.
_UNUSED: Final = "ackfirst-rights"


def missing(client: redis.Redis, spaces: Sequence[str] = keys.SPACES) -> list[str]:
    """Describe each right that is missing, such as ``write keys rq:job:*``; an empty list if there is none.

    One script call reads and writes in each of ``spaces`` (prefixes of key names, or names of sets) without changing
    anything, and runs every kind of command that ackfirst uses.
    An error that is not about rights, such as a full memory, counts as granted: the server says so elsewhere.

    Raises:
        RedisError: The server did not answer.
    """
    try:
        reply: Any = client.eval(_SCRIPT, 0, keys.RIGHTS, _UNUSED, *spaces)
    except NoPermissionError:
        return ["run scripts (EVAL, EVALSHA, SCRIPT LOAD: +@scripting)"]
    found = [part.decode() for part in reply]
    # Where our own keys are forbidden, every command of the script was, whatever its name.
    commands = [] if "ackfirst:" in found else sorted({part[1:] for part in found if part.startswith("!")})
    forbidden = [f"{part}*" if part.endswith(":") else part for part in found if not part.startswith("!")]
    return [
        *([f"read and write keys {', '.join(forbidden)}"] if forbidden else []),
        *([f"run {', '.join(commands)}"] if commands else []),
    ]
