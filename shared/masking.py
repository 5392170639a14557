"""Make a value safe to show: enough of it left to tell two apart, not enough to know whose it is."""

import re
from typing import Final

_DOTS: Final = "•••"
_LONG: Final = 10
_SHORT: Final = 6

# Long runs of digits that stand alone. Parts of a UUID have a dash or a letter beside them.
_NUMBER: Final = re.compile(r"(?<![\w-])\d{7,15}(?![\w-])", re.ASCII)

# Greedy up to the last "@": a password that should have been percent-encoded must not shine through.
_USER: Final = re.compile(r"^([a-z+]+://).*@", re.DOTALL)
_PASSWORD_PARAMETER: Final = re.compile(r"([?&][^=&]*pass[^=&]*=)[^&]*", re.IGNORECASE)


def number(value: str) -> str:
    """A phone number or sender id: ``447700900417`` is ``447•••••417``. The count of dots says nothing."""
    if len(value) >= _LONG:
        return f"{value[:3]}•••••{value[-3:]}"
    return "•••••" + (value[-2:] if len(value) >= _SHORT else "")


def numbers(value: str) -> str:
    """The same text, for example a traceback, with every phone number in it masked."""
    return _NUMBER.sub(lambda found: number(found[0]), value)


def text(value: str) -> str:
    """What a person wrote: only its length in characters is left, ``•••(12)``."""
    return f"{_DOTS}({len(value)})"


def url(value: str) -> str:
    """A Redis URL without user name and passwords: ``redis://•••@cache.internal:6379/0``."""
    return _PASSWORD_PARAMETER.sub(rf"\1{_DOTS}", _USER.sub(rf"\1{_DOTS}@", value))
