"""Make values safe to show: enough is left to tell two of them apart, not enough to know whose they are."""

import re
from collections.abc import Iterable
from typing import Final

_DOTS: Final = "•••"
_LONG: Final = 10
_SHORT: Final = 6

#: Digits of a telephone number (E.164 allows 15); shorter runs are line numbers, ports, counts.
_FEWEST, _MOST = 7, 15
#: Digits of a known number that identify a person on their own, with or without the country code before them.
_TELLING: Final = 7

#: What people put between the digits of a number, and programs around a part of it: up to three of these characters.
_BETWEEN: Final = r"[ \t\-./()+_\u00a0\u2009-\u2015\u202f]{0,3}"

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"

#: Texts of many digits that are no numbers of persons: matched first, and kept as they are.
_KEPT: Final = "|".join(
    (
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",  # UUID
        r"\b(?=[0-9a-f]{0,63}[a-f])[0-9a-f]{16,64}\b",  # digest, id of a job or a trace
        r"\b0x[0-9a-f]+\b",  # address of an object
        r"\b(?:19|20)\d\d-[01]\d-[0-3]\d(?!\d)(?:[T ][0-2]\d:[0-5]\d(?::[0-6]\d(?:[.,]\d+)?)?)?(?!\d)",  # date, time
        r"\b[0-2]?\d:[0-5]\d:[0-6]\d(?:[.,]\d+)?\b",  # time of day
        rf"(?<![\d.+])(?:{_OCTET}\.){{3}}{_OCTET}(?![.\d])(?::\d{{1,5}}\b)?",  # IPv4 address
        r"(?<![\d.+])(?:\d{1,6}|1\d{9})\.\d+(?:e[+-]?\d+)?\b(?![.-]\d)",  # decimal number, Unix time with fractions
        r"\bline \d+\b",  # of a traceback
    )
)
_SHAPE: Final = rf"\+?\(?\d(?:{_BETWEEN}\d){{{_FEWEST - 1},{_MOST - 1}}}(?!\d)"
_NUMBER: Final = re.compile(rf"(?P<kept>{_KEPT})|(?<!\d){_SHAPE}", re.ASCII | re.IGNORECASE)

# Greedy up to the last "@": a password that should have been percent-encoded must not shine through.
_USER: Final = re.compile(r"^([a-z+]+://).*@", re.DOTALL)
_PASSWORD_PARAMETER: Final = re.compile(r"([?&][^=&]*pass[^=&]*=)[^&]*", re.IGNORECASE)


def number(value: str) -> str:
    """Mask a phone number or sender id: ``447•••••417`` for ``447700900417``, whatever its length."""
    if len(value) >= _LONG:
        return f"{value[:3]}•••••{value[-3:]}"
    return "•••••" + (value[-2:] if len(value) >= _SHORT else "")


def numbers(value: str, known: Iterable[str] = ()) -> str:
    """Mask every phone number in a text, for example a traceback, however its digits are grouped.

    Whatever looks like a number is masked, with its prefix and suffix left: ``+44 7700 900417``, ``44-7700-900417``,
    ``(447700)900417``, ``msisdn447700900417``. UUIDs, digests, dates, IP addresses and decimals are kept. The digits of
    a ``known`` number are masked wherever they stand, also in those.

    Args:
        value: The text.
        known: Numbers that the event holds: its sender and recipient.
    """
    for one in known:
        if pattern := _pattern(one):
            value = pattern.sub(_masked, value)
    return _NUMBER.sub(_masked_shape, value)


def _masked_shape(found: re.Match[str]) -> str:
    return found[0] if found["kept"] is not None else _masked(found)


def _masked(found: re.Match[str]) -> str:
    return number("".join(filter(str.isdigit, found[0])))


def _pattern(known: str) -> re.Pattern[str] | None:
    """Match the digits of a known number in any grouping, with or without those of the country code."""
    digits = "".join(filter(str.isdigit, known))
    if len(digits) < _TELLING:
        return None
    codes = min(3, len(digits) - _TELLING)
    prefix = ""
    for digit in digits[:codes]:
        prefix = f"(?:{prefix}{digit}{_BETWEEN})?"
    return re.compile(rf"\+?\(?{prefix}{_BETWEEN.join(digits[codes:])}")


def text(value: str) -> str:
    """Mask what a person wrote: ``•••(12)`` for a text of 12 characters."""
    return f"{_DOTS}({len(value)})"


def url(value: str) -> str:
    """Mask user name and passwords of a Redis URL: ``redis://•••@cache.internal:6379/0``."""
    return _PASSWORD_PARAMETER.sub(rf"\1{_DOTS}", _USER.sub(rf"\1{_DOTS}@", value))
