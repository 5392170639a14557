"""Read Lua scripts, with the function that they share."""

from functools import cache
from importlib.resources import files


@cache
def source(package: str, name: str) -> str:
    """Read the script ``name`` of a package, behind the function of ``ready.lua`` where it calls that."""
    text = files(package).joinpath(name).read_text()
    shared = files("ackfirst.shared.queue").joinpath("ready.lua").read_text() if "make_ready(" in text else ""
    return shared + text
