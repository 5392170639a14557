"""Mask what a job tells of a person: its arguments, texts that it quotes, phone numbers."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qsl

from ackfirst.shared import masking

# RQ's default description is the call with its arguments (``rq/job.py``: get_call_string). A sentence has a space
# before its parenthesis, a call has none.
_CALL: Final = re.compile(r"[\w.<>]+(?=\()")

# Fields of a callback that hold a person's words even where these are a single one.
_WRITTEN: Final = frozenset({"text", "caption", "title", "name", "keyword"})

# Fields of a callback that hold a number, and the longest text that is one with its separators.
_NUMBERED: Final = frozenset({"from", "to", "msisdn", "number", "sender", "recipient", "id"})
_LONGEST_NUMBER: Final = 40

# "Y" and "1" are common answers: masked within quotation marks only, or no traceback could be read.
_SHORT_CHARACTERS: Final = 3


def without_arguments(description: str) -> str:
    """Drop the arguments from a description that is a call; mask phone numbers in any other."""
    call = _CALL.match(description)
    return f"{call[0]}(…)" if call else masking.numbers(description)


def without_texts(text: str, arguments: Any) -> str:
    """Mask every quotation of the job's own arguments in a text, for example a traceback."""
    for quoted in sorted(set(_texts(arguments)), key=len, reverse=True):
        # The longest first: a text that ends in a backslash is a part of its own quotation.
        for spelling in sorted({quoted, repr(quoted)[1:-1], json.dumps(quoted)[1:-1]}, key=len, reverse=True):
            text = re.sub(_quotation(spelling), masking.text(quoted), text)
    return text


def numbers_in(arguments: Any) -> set[str]:
    """Return the phone numbers that the job's own arguments hold, in fields that are known to hold numbers."""
    return {
        str(value) for name, value in _leaves(arguments) if name in _NUMBERED and len(str(value)) <= _LONGEST_NUMBER
    }


def _quotation(spelling: str) -> str:
    literally = re.escape(spelling)
    return literally if len(spelling) > _SHORT_CHARACTERS else rf"(?<=['\"]){literally}(?=['\"])"


def _texts(arguments: Any) -> Iterator[str]:
    for name, value in _leaves(arguments):
        if isinstance(value, str) and (" " in value or name in _WRITTEN or _inside(value) is not None):
            yield value


def _leaves(arguments: Any) -> Iterator[tuple[str, Any]]:
    """Yield texts and numbers with the name of their field, also those inside of texts that hold JSON or a form."""
    # A stack instead of recursion: how deep a message is nested is up to its sender.
    pending: list[tuple[str, Any]] = [("", arguments)]
    while pending:
        name, value = pending.pop()
        match value:
            case dict():
                pending.extend(value.items())
            case list():
                pending.extend((name, item) for item in value)
            case str() if value.strip():
                yield name, value
                pending.append((name, _inside(value)))
            case int() if not isinstance(value, bool):
                yield name, value


def _inside(value: str) -> Any:
    """Parse a text that is a JSON object, an envelope or a form; None when it is none of them."""
    if not value.lstrip().startswith("{"):
        return dict(parse_qsl(value)) or None
    head, newline, body = value.partition("\n")
    if newline and (found := _json(head)) is not None:
        return [found, body]
    return _json(value)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def masked(value: Any) -> Any:
    """Mask every phone number in a JSON value, as text or as number, in keys too."""
    match value:
        case dict():
            return {masking.numbers(str(name)): masked(item) for name, item in value.items()}
        case list():
            return [masked(item) for item in value]
        case str():
            return masking.numbers(value)
        case int() if not isinstance(value, bool):
            text = masking.numbers(str(value))
            return value if text == str(value) else text
        case _:
            return value
