"""Read Lua scripts, with the functions that they share."""

from functools import cache
from importlib.resources import files
from typing import Final

#: Function → the file that defines it, as package and name.
_SHARED: Final = {
    "make_ready": ("ackfirst.shared.queue", "ready.lua"),
    "note_unconfirmed": ("ackfirst.shared.quarantine", "unconfirmed.lua"),
}


@cache
def source(package: str, name: str) -> str:
    """Read the script ``name`` of a package, behind the shared functions that it calls."""
    text = files(package).joinpath(name).read_text()
    shared = (files(where).joinpath(file) for function, (where, file) in _SHARED.items() if f"{function}(" in text)
    return "".join(file.read_text() for file in shared) + text
