"""Read the search box: ``status:delivered lane:harbour 447700900417`` becomes a filter. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ackfirst.ops.record.options import STATES, number
from ackfirst.ops.terminal import moment
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.record import named_record
from ackfirst.shared.store.rows import EventFilter

#: Name in the search box → field of the filter.
FIELDS: Final[Mapping[str, str]] = {
    "status": "status",
    "state": "state",
    "app": "application_id",
    "application": "application_id",
    "account": "account",
    "lane": "lane",
    "family": "family",
    "from": "sender",
    "to": "recipient",
    "handler": "handler",
    "error": "error_type",
    "ref": "client_ref",
    "message": "message_id",
    "since": "since",
    "until": "until",
}

#: Field of the filter → option of ``ackfirst events``, where it has another name.
_OPTIONS: Final[Mapping[str, str]] = {"application_id": "application", "sender": "from-number", "recipient": "to"}
#: Fields that ``ackfirst events`` has no option for.
_NOT_OPTIONS: Final = ("client_ref", "message_id", "handler", "error_type")

#: Digits of a telephone number.
_FEWEST_DIGITS: Final = 5
_MOST_DIGITS: Final = 15


class SearchError(ValueError):
    """The text cannot be searched for; the message is one sentence."""


@named_record
class Search:
    """The conditions of a search."""

    text: str
    """As it was written."""
    filter: EventFilter = EventFilter()
    word: str | None = None
    """The word without a name: an id, a number or a ``client_ref``."""
    fields: tuple[tuple[str, str], ...] = ()
    """Names and values as they were written."""

    @property
    def is_everything(self) -> bool:
        """True without any condition."""
        return self.word is None and self.filter == EventFilter()

    @property
    def party(self) -> str | None:
        """The word as a phone number; None if it is none."""
        if self.word is None:
            return None
        digits = number(self.word)
        is_number = digits.isascii() and digits.isdigit() and _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS
        return digits if is_number else None

    def filters(self) -> list[EventFilter]:
        """Return the filters whose events are meant, together; a number may be the sender or the recipient."""
        if self.word is None:
            return [self.filter]
        if self.party is not None:
            return [replace(self.filter, sender=self.party), replace(self.filter, recipient=self.party)]
        return [replace(self.filter, client_ref=self.word)]

    def command(self) -> str:
        """Return the command that prints the same."""
        if self.word is not None and self.party is None:
            return f"ackfirst message {_quoted(self.word)}"
        parts = ["ackfirst events"]
        for name, value in self.fields:
            field = FIELDS[name]
            if field not in _NOT_OPTIONS:
                parts.append(f"--{_OPTIONS.get(field, field)} {_quoted(value)}")
        if self.party is not None:
            parts.append(f"--to {self.party}")
        return " ".join(parts)


def parse_search(text: str, *, now: float) -> Search:
    """Read the search box.

    Args:
        text: As it was written.
        now: Unix seconds, for ``since:2h``.

    Raises:
        SearchError: A name or a value is not possible.
    """
    words: list[str] = []
    fields: dict[str, str] = {}
    for part in text.split():
        name, colon, value = part.partition(":")
        if colon and name.lower() in FIELDS:
            if not value:
                raise SearchError(f"Write what {name}: should be, without a space: {name}:value.")
            fields[name.lower()] = value
        elif colon and name.isalpha() and name.islower():
            raise SearchError(f"There is no {name}: to search by. There are {', '.join(FIELDS)}.")
        else:
            words.append(part)
    if len(words) > 1 and number("".join(words)).isdigit():  # a number in groups
        words = ["".join(words)]
    if len(words) > 1:
        raise SearchError("Look for one id or number at a time; texts of messages are not searched.")
    values = {FIELDS[name]: _value(name, value, now) for name, value in fields.items()}
    chosen = EventFilter(**values)  # type: ignore[arg-type]  # each value is of its field's type
    return Search(text=text.strip(), filter=chosen, word=words[0] if words else None, fields=tuple(fields.items()))


def _value(name: str, value: str, now: float) -> str | float:
    match FIELDS[name]:
        case "since" | "until":
            try:
                return moment(value, now=now)
            except ValueError as error:
                raise SearchError(f"{name}: {error}.") from error
        case "state" if value not in STATES:
            raise SearchError(f"A state is one of {', '.join(STATES)}.")
        case "family" if value not in {family.value for family in Family}:
            raise SearchError(f"A family is one of {', '.join(family.value for family in Family)}.")
        case "sender" | "recipient":
            return number(value)
        case "status":
            return value.lower()
    return value


def _quoted(value: str) -> str:
    """Write a value so that a shell takes it as one word."""
    if value and all(one.isalnum() or one in "@%_-+=:,./" for one in value) and value.isascii():
        return value
    return "'" + value.replace("'", "'\"'\"'") + "'"
