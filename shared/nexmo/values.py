"""Read one value of a payload, of whatever type it came in. Nothing here raises, whatever the value."""

import re
from datetime import UTC, datetime
from typing import Any, Final, Self

#: Unix times above this are milliseconds: in seconds they would lie beyond the year 5000.
_FIRST_MILLISECOND: Final = 100_000_000_000

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Number(float):
    """A JSON number with a fraction or an exponent that remembers how it was written.

    As floats ``1.50`` becomes ``1.5``, and a message id ``1E00000000000002`` becomes ``100.0``: another id than the one
    that was signed.
    """

    __slots__ = ("literal",)
    literal: str

    def __new__(cls, literal: str) -> Self:
        """Read the number from its literal, which must be one that ``float`` takes."""
        number = super().__new__(cls, literal)
        number.literal = literal
        return number


def scalar(value: Any) -> str | None:
    """Get text as it came and a number as it was written; None for everything else.

    The SMS API sends every value as a string, yet numbers were seen where strings are documented, and the reverse.
    """
    match value:
        case str():
            return value
        case bool():
            return None
        case int():
            return str(value)
        case Number():
            return value.literal
        case _:
            return None


def given(value: Any) -> str | None:
    """Get ``scalar``, but None also for what means "no value": empty text, and the four letters ``null`` of a form."""
    text = value if type(value) is str else scalar(value)
    return text if text and text != "null" else None


def lowered(value: Any) -> str | None:
    """Get ``given`` in lower case: a status, whose case differs between the products."""
    text = given(value)
    return text and text.lower()


def members(value: Any) -> dict[str, Any]:
    """Get an object as it came; an empty one for everything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Get an array as it came; an empty one for everything else."""
    return value if isinstance(value, list) else []


def with_replacements(text: str) -> str:
    """Replace each surrogate, which UTF-8 cannot hold, by U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def encodable(value: Any, *, keep_literals: bool = False) -> Any:
    """Copy a value so that every encoder takes it: ``with_replacements`` in names and texts, plain floats.

    ``keep_literals`` leaves each ``Number`` as it is. Of names that become equal the last one's value remains.
    """
    match value:
        case str():
            return with_replacements(value)
        case dict():
            return {
                with_replacements(name): encodable(member, keep_literals=keep_literals)
                for name, member in value.items()
            }
        case list():
            return [encodable(item, keep_literals=keep_literals) for item in value]
        case Number() if not keep_literals:
            return float(value)
        case _:
            return value


def party(value: Any) -> str | None:
    """Read a sender or a recipient: text (v1, SMS API) or an object with ``number`` or ``id`` (v0.1).

    A number loses its ``+``, which a query string may have turned into a space.
    """
    if isinstance(value, dict):
        return party(value.get("number")) or party(value.get("id"))
    text = (given(value) or "").strip()
    number = text.removeprefix("+")
    return (number if number.isdecimal() else text) or None


def instant(value: Any) -> datetime | None:
    r"""Read a point in time, UTC: ISO 8601 with any offset, ``YYYY-MM-DD HH:MM:SS``, or a Unix time; else None.

    A time without an offset is UTC (SMS API). A leading ``\`` was seen in the documentation of short codes.
    """
    text = (given(value) or "").strip().removeprefix("\\")
    try:
        if isinstance(value, Number):
            return _from_unix(value)
        return _from_unix(float(text)) if text.replace(".", "", 1).isdecimal() else _from_iso(text)
    except (ValueError, OverflowError, OSError):
        return None


def carrier_time(value: Any) -> datetime | None:
    """Read ``scts`` of a delivery receipt, ``YYMMDDHHMM``, presumed UTC; None if it is not that."""
    text = given(value) or ""
    if len(text) != len("YYMMDDHHMM"):
        return None
    try:
        return datetime.strptime(text, "%y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None


def _from_unix(number: float) -> datetime:
    return datetime.fromtimestamp(number / 1000 if number >= _FIRST_MILLISECOND else number, UTC)


def _from_iso(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
