"""``sig`` covers parameters as text: numbers must keep the text that was signed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.reading import literal_parameters, read
from tests.support.callbacks import any_text, callback, form_callback, get_callback, hostile_fields, json_callback


def literals(body: bytes) -> dict[str, str]:
    request = callback(body, content_type="application/json")
    reading = read(request)
    assert reading is not None
    return literal_parameters(request, reading)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1772615727", "1772615727"),
        ("0.03330000", "0.03330000"),
        ("1.50", "1.50"),
        ("1E5", "1E5"),
        ("-0", "-0"),
        ("18446744073709551617", "18446744073709551617"),
        ("1e999", "1e999"),
        ("NaN", "NaN"),
        ("7" * 5000, "7" * 5000),
        ("null", ""),
        ("true", "true"),
        ("false", "false"),
        ('"null"', "null"),
        ('""', ""),
        ('"1.50"', "1.50"),
        (r'"caf\u00e9"', "café"),
        ("[]", "[]"),
        ('{"b": [1, "é"], "a": null}', '{"b":[1,"é"],"a":null}'),
    ],
)
def test_a_json_value_is_signed_by_this_text(value: str, text: str) -> None:
    assert literals(f'{{"to": "12015550142", "odd": {value}}}'.encode()) == {"to": "12015550142", "odd": text}


def test_of_a_repeated_name_the_last_literal_counts() -> None:
    assert literals(b'{"price": 1.10, "price": 2.20}') == {"price": "2.20"}


@pytest.mark.parametrize("request_of", [form_callback, get_callback])
def test_form_and_query_parameters_are_signed_as_they_are(request_of: Any) -> None:
    parameters = {"text": "null", "price": "0.0330", "empty": ""}
    request = request_of(parameters)
    reading = read(request)
    assert reading is not None
    assert literal_parameters(request, reading) == parameters


def test_the_result_is_the_callers_own_to_change() -> None:
    request = get_callback({"sig": "00", "to": "1"})
    reading = read(request)
    assert reading is not None
    literal_parameters(request, reading).clear()
    assert reading.fields == {"sig": "00", "to": "1"}


@given(st.dictionaries(any_text, any_text))
def test_text_in_json_is_signed_as_it_reads(parameters: dict[str, str]) -> None:
    request = json_callback(parameters)
    reading = read(request)
    assert reading is not None
    assert literal_parameters(request, reading) == reading.fields


@given(hostile_fields)
def test_any_payload_has_a_text_for_each_of_its_names(payload: dict[str, Any]) -> None:
    request = json_callback(payload)
    reading = read(request)
    assert reading is not None
    parameters = literal_parameters(request, reading)
    assert parameters.keys() == reading.fields.keys()
    assert all(isinstance(text, str) for text in parameters.values())
