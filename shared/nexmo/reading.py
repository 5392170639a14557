"""From a request to its fields, in any of the three transports. Nothing here raises, whatever the bytes."""

import json
import math
import re
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import orjson

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.values import scalar
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
_OPENS_AN_OBJECT: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\{").match

# orjson turns an integer beyond 64 bits into a float, silently. Every such integer has 19 digits or more.
_DIGITS_AS_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 19


@record
class Reading:
    """What a request says, before anybody believes it."""

    encoding: Encoding
    """Where the fields are: a JSON body, a form body, or the query string."""
    fields: dict[str, Any]
    """The JSON object as sent, or the decoded parameters (text to text; of a repeated one the last)."""


def read(callback: Callback) -> Reading | None:
    """The fields of ``callback``; None if there is no way to see an object of fields in it.

    Where there is a body, the body is read, whatever the method: a token signs the body alone, so that a query beside
    it must not speak. Text that is not UTF-8 is kept as surrogate escapes (PEP 383).
    """
    return read_as(encoding_of(callback), body=callback.body, query=callback.query)


def read_unvouched(callback: Callback) -> Reading | None:
    """``read`` for a callback that nobody vouches for: None also for a body longer than parameters may be.

    A stranger's 1 MiB of JSON, parsed and hashed with the secret of every account, would stall the edge for 0.2 s.
    """
    return None if len(callback.body) > MAX_PARAMETERS_LENGTH else read(callback)


def encoding_of(callback: Callback) -> Encoding:
    """Where the fields are. Of a missing content type (captured by SDK-php) or an odd one, the body decides."""
    if not callback.body:
        return "query"
    if callback.content_type == "application/json":
        return "json"
    media_type = callback.content_type.partition(";")[0].strip().lower()
    if media_type.endswith("json") or (media_type != _FORM and _OPENS_AN_OBJECT(callback.body)):
        return "json"
    return "form"


def read_as(encoding: Encoding, *, body: bytes, query: str) -> Reading | None:
    """``read`` for who knows the encoding already: the way back from an envelope."""
    match encoding:
        case "json":
            fields = _json_object(body)
        case "form":
            fields = _parameters(body.decode("utf-8", "surrogateescape"))
        case "query":
            fields = _parameters(query)
    return None if fields is None else Reading(encoding, fields)


def literal_parameters(callback: Callback, reading: Reading) -> dict[str, str]:
    """The parameters as text, as the ``sig`` of the SMS API covers them.

    JSON numbers by their literal text, ``null`` as empty text (as SDK-php and SDK-ruby do), ``true`` and ``false`` as
    they are written, arrays and objects as compact JSON text.
    """
    if all(isinstance(value, str) for value in reading.fields.values()):
        return dict(reading.fields)
    # Each number is parsed to its own literal text: 1.50 must not become 1.5.
    literals = _leniently(callback.body, parse_int=str, parse_float=str)
    literals = literals if isinstance(literals, dict) else {}
    return {name: _literal(literals.get(name), value) for name, value in reading.fields.items()}


def _literal(literal: Any, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return scalar(literal if isinstance(literal, str) else value) or ""


def _parameters(text: str) -> dict[str, Any] | None:
    if len(text) > MAX_PARAMETERS_LENGTH:
        return None
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return None
    return dict(pairs)


def _json_object(body: bytes) -> dict[str, Any] | None:
    document = _document(body)
    if not isinstance(document, dict):
        return None
    may_be_deep = body.count(b"{") + body.count(b"[") > MAX_DEPTH
    return None if may_be_deep and _is_too_deep(document) else document


def _document(body: bytes) -> Any:
    """The document as ``json`` would read it, at orjson's speed where both agree; None if it is none."""
    if _LONG_NUMBER in body.translate(_DIGITS_AS_ZERO):
        return _leniently(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _leniently(body)


def _leniently(body: bytes, **parsers: Any) -> Any:
    """Accept also: a BOM, bytes that are not UTF-8, lone surrogates, control characters in text, NaN, huge numbers."""
    text = body.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    try:
        return json.loads(
            text, **{"parse_int": _integer, "parse_float": _float, **parsers}, parse_constant=str, strict=False
        )
    except (ValueError, RecursionError):
        return None


def _integer(literal: str) -> int | str:
    """The literal itself where Python refuses to convert (over 4300 digits)."""
    try:
        return int(literal)
    except ValueError:
        return literal


def _float(literal: str) -> float | str:
    """The literal itself where a float would be infinite, which no JSON writer can put back."""
    number = float(literal)
    return number if math.isfinite(number) else literal


def _is_too_deep(document: dict[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        values = (parent.values() if type(parent) is dict else parent for parent in level)
        level = [child for children in values for child in children if child and type(child) in (dict, list)]
        if not level:
            return False
    return True
