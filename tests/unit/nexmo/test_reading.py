"""A request becomes fields, whatever the transport and however odd its bytes."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.reading import (
    MAX_DEPTH,
    MAX_PARAMETERS,
    MAX_PARAMETERS_LENGTH,
    Reading,
    encoding_of,
    read,
    read_as,
)
from tests.support.callbacks import FORM, any_json, any_text, callback, get_callback, json_callback

OBJECT = b'{"messageId": "0C0000009D3E71A4"}'
PAIRS = b"messageId=0C0000009D3E71A4"
FIELDS = {"messageId": "0C0000009D3E71A4"}


def fields_of_json(body: bytes) -> object:
    reading = read(callback(body, content_type="application/json"))
    return None if reading is None else reading.fields


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_request_without_a_body_is_read_from_its_query(method: str) -> None:
    assert read(callback(method=method, query=PAIRS.decode())) == Reading("query", FIELDS)


@pytest.mark.parametrize("content_type", ["", "application/json", FORM])
def test_a_post_without_a_body_is_read_from_its_query(content_type: str) -> None:
    assert read(callback(content_type=content_type, query=PAIRS.decode())) == Reading("query", FIELDS)


def test_an_empty_request_has_no_fields() -> None:
    assert read(callback(method="GET")) == Reading("query", {})


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
        " application/json ",
        "text/json",
        "application/cloudevents+json",
        "",
        "text/plain",
        "*/*",
        "application/octet-stream",
        "nonsense",
        ";;;",
    ],
)
def test_json_is_read_under_its_own_type_and_under_a_missing_or_odd_one(content_type: str) -> None:
    assert read(callback(OBJECT, content_type=content_type)) == Reading("json", FIELDS)


@pytest.mark.parametrize("start", [b" ", b"\r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf "])
def test_an_untyped_object_is_recognised_behind_a_bom_and_white_space(start: bytes) -> None:
    assert read(callback(start + OBJECT)) == Reading("json", FIELDS)


@pytest.mark.parametrize("content_type", [FORM, f"{FORM}; charset=UTF-8", FORM.upper(), "", "text/plain"])
def test_a_form_is_read_under_its_own_type_and_under_a_missing_or_odd_one(content_type: str) -> None:
    assert read(callback(PAIRS, content_type=content_type)) == Reading("form", FIELDS)


@pytest.mark.parametrize("body", [OBJECT, b"\xef\xbb\xbf" + OBJECT, b" \n" + OBJECT])
def test_json_that_says_it_is_a_form_is_read_as_json(body: bytes) -> None:
    assert read(callback(body, content_type=f"{FORM}; charset=UTF-8")) == Reading("json", FIELDS)


@pytest.mark.parametrize("content_type", ["application/json", "text/json; charset=utf-8"])
def test_a_form_that_says_it_is_json_is_read_as_a_form(content_type: str) -> None:
    assert read(callback(PAIRS, content_type=content_type)) == Reading("form", FIELDS)


@pytest.mark.parametrize("body", [b"[1, 2]", b'["messageId=1"]', b"{"])
def test_json_without_an_object_is_unreadable_whatever_it_says_it_is(body: bytes) -> None:
    assert read(callback(body, content_type=FORM)) is None


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"))))
def test_no_form_is_taken_for_json(parameters: dict[str, str]) -> None:
    assert encoding_of(callback(urlencode(parameters).encode() or b"=", content_type=FORM)) == "form"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_query_beside_a_body_never_speaks(method: str) -> None:
    request = callback(OBJECT, method=method, content_type="application/json", query="messageId=another")
    assert read(request) == Reading("json", FIELDS)


def test_parameters_are_decoded_once_as_utf_8_with_plus_as_space() -> None:
    reading = read(callback(method="GET", query="text=Tea+%26+cake+%3D+caf%C3%A9%3F+%2526&caf%C3%A9=1"))
    assert reading == Reading("query", {"text": "Tea & cake = café? %26", "café": "1"})


def test_an_empty_parameter_is_kept_and_of_a_repeated_one_the_last_wins() -> None:
    assert read(callback(b"text=&to=1&to=2&flag", content_type=FORM)) == Reading(
        "form", {"text": "", "to": "2", "flag": ""}
    )


@pytest.mark.parametrize("query", ["text=caf%E9", "text=caf\udce9"], ids=["percent-encoded", "raw"])
def test_bytes_of_a_query_that_are_not_utf_8_are_kept_as_surrogate_escapes(query: str) -> None:
    reading = read(callback(method="GET", query=query))
    assert reading is not None
    assert reading.fields["text"].encode("utf-8", "surrogateescape") == b"caf\xe9"


def test_bytes_of_a_form_that_are_not_utf_8_are_kept_as_surrogate_escapes() -> None:
    assert read(callback(b"text=caf\xe9", content_type=FORM)) == Reading("form", {"text": "caf\udce9"})


@pytest.mark.parametrize(("length", "readable"), [(MAX_PARAMETERS_LENGTH, True), (MAX_PARAMETERS_LENGTH + 1, False)])
def test_parameters_longer_than_any_callback_are_not_read(length: int, readable: bool) -> None:
    text = "text=" + "x" * (length - 5)
    assert (read(callback(text.encode(), content_type=FORM)) is not None) is readable
    assert (read(callback(method="GET", query=text)) is not None) is readable


def test_more_parameters_than_any_callback_has_are_not_read() -> None:
    assert read(callback(b"a&" * MAX_PARAMETERS, content_type=FORM)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b'[{"a": 1}]', b'"text"', b"1", b"null", b"true", b"", b" ", b"{", b'{"a": 1', b'{"a": 1}}', b"{'a': 1}",
        b'{"a": 1,}', b"\x00", b"\xff\xfe{\x00}\x00", b"messageId=1",
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_unreadable(body: bytes) -> None:
    assert read_as("json", body=body, query="") is None


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": "caf\xe9"}', {"a": "caf\udce9"}),
        (rb'{"a": "\ud83d"}', {"a": "\ud83d"}),
        (rb'{"a": "\ud83d\ude00"}', {"a": "😀"}),
        (rb'{"a": "\u0000"}', {"a": "\x00"}),
        (b'{"a": "line\nfeed"}', {"a": "line\nfeed"}),
        (b'{"a": NaN, "b": Infinity, "c": -Infinity}', {"a": "NaN", "b": "Infinity", "c": "-Infinity"}),
        (b'{"a": 1e999, "b": -1e999}', {"a": "1e999", "b": "-1e999"}),
        (b'{"a": 18446744073709551617}', {"a": 18446744073709551617}),
        (b'{"a": -9223372036854775809}', {"a": -9223372036854775809}),
        (b'{"a": ' + b"7" * 5000 + b"}", {"a": "7" * 5000}),
        (b'{"": {}}', {"": {}}),
    ],
    ids=[
        "bom", "duplicate key", "not utf-8", "lone surrogate", "surrogate pair", "nul", "control character", "nan",
        "infinite float", "beyond 64 bits", "beyond -64 bits", "too long for int", "empty name",
    ],
)  # fmt: skip
def test_odd_json_is_read_without_loss(body: bytes, fields: object) -> None:
    assert fields_of_json(body) == fields


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])
def test_json_nested_deeper_than_any_callback_is_unreadable(opening: bytes, depth: int) -> None:
    closing = b"]" if opening == b"[" else b"}"
    assert fields_of_json(b'{"a":' + opening * depth + b"1" + closing * depth + b"}") is None
    assert fields_of_json(b'{"a":' + opening * depth) is None


def test_a_long_flat_document_is_not_mistaken_for_a_deep_one() -> None:
    order = {"order": {"product_items": [{"quantity": str(number)} for number in range(3 * MAX_DEPTH)]}}
    assert read(json_callback(order)) == Reading("json", order)


def test_the_deepest_permitted_document_is_read_and_the_next_is_not() -> None:
    opening, closing = b'{"flat": [[], []], "a":' + b'{"a":' * (MAX_DEPTH - 1), b"}" * MAX_DEPTH
    assert fields_of_json(opening + b"1" + closing) == json.loads(opening + b"1" + closing)
    assert fields_of_json(opening + b"[1]" + closing) is None


@given(st.dictionaries(any_text, any_json))
def test_any_json_object_is_read_as_the_standard_library_reads_it(payload: dict[str, object]) -> None:
    body = json.dumps(payload).encode()
    expected = json.loads(body, parse_constant=str)
    assert fields_of_json(body) == expected


@given(st.integers() | st.integers(min_value=-(10**30), max_value=10**30))
def test_no_integer_loses_a_digit(number: int) -> None:
    assert fields_of_json(b'{"id": %d}' % number) == {"id": number}


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"))))
def test_any_parameters_are_read_alike_from_a_query_and_from_a_form(parameters: dict[str, str]) -> None:
    form = read(callback(urlencode(parameters).encode(), content_type=FORM))
    query = read(get_callback(parameters))
    assert query == Reading("query", parameters)
    assert form == (Reading("form", parameters) if parameters else Reading("query", {}))
