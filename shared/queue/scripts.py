"""Read Lua scripts, with the functions that they share."""

from functools import cache
from importlib.resources import files
from typing import Final

#: Function → the file that defines it, as package and name. Each calls only functions above it.
_SHARED: Final = {
    "make_ready": ("ackfirst.shared.queue", "ready.lua"),
    "queue_job": ("ackfirst.shared.queue", "queue_job.lua"),
    "note_unconfirmed": ("ackfirst.shared.quarantine", "unconfirmed.lua"),
}


@cache
def source(package: str, name: str) -> str:
    """Read the script ``name`` of a package, behind the shared functions that it calls."""
    text = files(package).joinpath(name).read_text()
    for function, (where, file) in reversed(_SHARED.items()):
        if f"{function}(" in text:
            text = files(where).joinpath(file).read_text() + text
    return text
