"""Read a request into its fields, in any of the three transports. Nothing here raises, whatever the bytes."""

import json
import math
import re
from contextlib import suppress
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import orjson

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.values import Number, scalar
from ackfirst.shared.record import record

Encoding = Literal["json", "form", "query"]

#: Levels of nesting. Vonage's deepest payload has 6; recursive code downstream must not meet Python's limit of 1000.
MAX_DEPTH: Final = 100

#: Parameters of a form or a query, and their characters. Vonage sends about 20 in 1 KB; decoding 1 MB would stall the
#: edge for 0.2 s.
MAX_PARAMETERS: Final = 1000
MAX_PARAMETERS_LENGTH: Final = 131_072

_FORM: Final = "application/x-www-form-urlencoded"
_BOM: Final = b"\xef\xbb\xbf"
_OPENS_JSON: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*[{\[]").match
_BRACE: Final = ord("{")
_OPENS_A_FORM: Final = re.compile(rb"[A-Za-z0-9_.%+-]+=").match

#: Surrogates that no HTTP server makes of undecodable bytes: only JSON's ``\\u`` escapes can spell them.
_LONE_SURROGATE: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")

# orjson turns an integer beyond 64 bits into a float, silently. Every such integer has 19 digits or more.
_DIGITS_AS_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 19


@record
class Reading:
    """The content of a request, not verified yet."""

    encoding: Encoding
    """Where the fields are: a JSON body, a form body, or the query string."""
    fields: dict[str, Any]
    """The JSON object as sent, or the decoded parameters (text to text; of a repeated one the last).

    A number of a JSON object that would not be written the same way again is a ``Number``.
    """


def read(callback: Callback) -> Reading | None:
    """Read the fields of ``callback``; None if it holds no object of fields.

    Where there is a body, only the body is read, whatever the method: a token signs the body alone, so a query beside
    it must not count. Text that is not UTF-8 is kept as surrogate escapes (PEP 383).
    """
    return read_as(encoding_of(callback), body=callback.body, query=callback.query)


def read_unverified(callback: Callback) -> Reading | None:
    """Read a callback that is not verified: None also for a body with more text or values than parameters may have.

    Otherwise anybody could stall the edge: for 0.2 s with 1 MiB of JSON, for 25 ms with 30,000 numbers in 128 KiB.
    """
    body = callback.body
    is_too_much = len(body) > MAX_PARAMETERS_LENGTH or body.count(b",") > MAX_PARAMETERS
    return None if is_too_much else read(callback)


def encoding_of(callback: Callback) -> Encoding:
    """Find where the fields are. The body decides, and the content type only where the body leaves it open.

    Content types are missing (captured by SDK-php), or wrong: JSON sent as a form was read as one parameter with an odd
    name. A form never opens with a bracket, since ``{`` and ``[`` are percent-encoded in one.
    """
    body = callback.body
    if not body:
        return "query"
    if body[0] == _BRACE or _OPENS_JSON(body):
        return "json"
    media_type = callback.content_type.partition(";")[0].strip().lower()
    return "json" if media_type.endswith("json") and not _OPENS_A_FORM(body) else "form"


def read_as(encoding: Encoding, *, body: bytes, query: str) -> Reading | None:
    """Read fields whose encoding is known already, as those of an envelope."""
    match encoding:
        case "json":
            fields = _json_object(body)
        case "form":
            fields = _parameters(body.decode("utf-8", "surrogateescape"))
        case "query":
            fields = _parameters(query)
    return None if fields is None else Reading(encoding, fields)


def parameters(fields: dict[str, Any]) -> dict[str, str]:
    """Get the fields as texts: the characters that the ``sig`` of the SMS API covers.

    JSON numbers by their literal text, ``null`` as empty text (as SDK-php and SDK-ruby do), ``true`` and ``false`` as
    they are written, arrays and objects as compact JSON text. A lone surrogate, which has no bytes that could be
    signed, is U+FFFD, as most encoders write it.
    """
    return {_signable(name): _signable(_text(value)) for name, value in fields.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return scalar(value) or ""


def _signable(text: str) -> str:
    return text if text.isascii() else _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def _parameters(text: str) -> dict[str, Any] | None:
    if len(text) > MAX_PARAMETERS_LENGTH:
        return None
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return None
    return dict(pairs)


def _json_object(body: bytes) -> dict[str, Any] | None:
    document, is_lenient = _document(body)
    if not isinstance(document, dict):
        return None
    may_be_deep = body.count(b"{") + body.count(b"[") > MAX_DEPTH
    if may_be_deep and _is_too_deep(document):
        return None
    if not is_lenient and _has_lost_a_literal(document):
        exact: dict[str, Any] = _leniently(body)
        return exact
    return document


def _document(body: bytes) -> tuple[Any, bool]:
    """Parse with orjson where it agrees with ``json``, else leniently; None if it is not JSON. Second: leniently?"""
    if _LONG_NUMBER not in body.translate(_DIGITS_AS_ZERO):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(body), False
    return _leniently(body), True


def _has_lost_a_literal(document: Any) -> bool:
    """True for a float, and for the integer that may have been written ``-0``: those are not always written again."""
    for value in document.values() if type(document) is dict else document:
        kind = type(value)
        if kind is float or (kind is int and not value):
            return True
        if (kind is dict or kind is list) and _has_lost_a_literal(value):
            return True
    return False


def _leniently(body: bytes) -> Any:
    """Accept also: a BOM, bytes that are not UTF-8, lone surrogates, control characters in text, NaN, huge numbers."""
    text = body.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    try:
        return json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=str, strict=False)
    except (ValueError, RecursionError):
        return None


def _integer(literal: str) -> int | float | str:
    """Read an integer; the literal itself where Python refuses to convert (over 4300 digits)."""
    if literal == "-0":
        return Number(literal)
    try:
        return int(literal)
    except ValueError:
        return literal


def _float(literal: str) -> float | str:
    """Read a number; the literal itself where a float would be infinite, which no JSON writer can put back."""
    number = Number(literal)
    return number if math.isfinite(number) else literal


def _is_too_deep(document: dict[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        values = (parent.values() if type(parent) is dict else parent for parent in level)
        level = [child for children in values for child in children if child and type(child) in (dict, list)]
        if not level:
            return False
    return True
