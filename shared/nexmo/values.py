"""One value of a stranger's payload, taken for what it can be. Nothing here raises, whatever the value."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

#: Unix times above this are milliseconds: in seconds they would lie beyond the year 5000.
_FIRST_MILLISECOND: Final = 100_000_000_000


def scalar(value: Any) -> str | None:
    """Text as it came, a number as its text; None for everything else.

    The SMS API sends every value as a string, yet numbers were seen where strings are documented, and the reverse.
    """
    match value:
        case str():
            return value
        case bool():
            return None
        case int():
            return str(value)
        case float():
            return format(Decimal(repr(value)), "f")
        case _:
            return None


def given(value: Any) -> str | None:
    """``scalar``, but None also for what means "no value": empty text, and the four letters ``null`` of a form."""
    text = value if type(value) is str else scalar(value)
    return text if text and text != "null" else None


def lowered(value: Any) -> str | None:
    """``given`` in lower case: a status, whose case differs between the products."""
    text = given(value)
    return text and text.lower()


def members(value: Any) -> dict[str, Any]:
    """An object as it came; an empty one for everything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """An array as it came; an empty one for everything else."""
    return value if isinstance(value, list) else []


def party(value: Any) -> str | None:
    """A sender or a recipient: text (v1, SMS API) or an object with ``number`` or ``id`` (v0.1).

    A number loses its ``+``, which a query string may have turned into a space.
    """
    if isinstance(value, dict):
        return party(value.get("number")) or party(value.get("id"))
    text = (given(value) or "").strip()
    number = text.removeprefix("+")
    return (number if number.isdecimal() else text) or None


def instant(value: Any) -> datetime | None:
    r"""A point in time, UTC: ISO 8601 with any offset, ``YYYY-MM-DD HH:MM:SS``, or a Unix time. None: none of them.

    A time without an offset is UTC (SMS API). A leading ``\`` was seen in the documentation of short codes.
    """
    text = (given(value) or "").strip().removeprefix("\\")
    try:
        return _from_unix(float(text)) if text.replace(".", "", 1).isdecimal() else _from_iso(text)
    except (ValueError, OverflowError, OSError):
        return None


def carrier_time(value: Any) -> datetime | None:
    """``scts`` of a delivery receipt, ``YYMMDDHHMM``, presumed UTC; None if it is not that."""
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
