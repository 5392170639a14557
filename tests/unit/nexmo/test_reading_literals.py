"""``sig`` covers parameters as text: numbers must keep the text that was signed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.reading import parameters, read
from tests.support.callbacks import any_text, callback, form_callback, get_callback, hostile_fields, json_callback


def parameters_of(request: Callback) -> dict[str, str]:
    reading = read(request)
    assert reading is not None
    return parameters(reading.fields)


def literals(body: bytes) -> dict[str, str]:
    return parameters_of(callback(body, content_type="application/json"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1772615727", "1772615727"),
        ("0.03330000", "0.03330000"),
        ("1.50", "1.50"),
        ("1E5", "1E5"),
        ("1E00000000000002", "1E00000000000002"),
        ("0e0", "0e0"),
        ("-0", "-0"),
        ("0", "0"),
        ("-0.0", "-0.0"),
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
        (r'"\ud83d"', "\N{REPLACEMENT CHARACTER}"),
        ("[]", "[]"),
        ('{"b": [1, "é"], "a": null}', '{"b":[1,"é"],"a":null}'),
    ],
)
def test_a_json_value_is_signed_by_this_text(value: str, text: str) -> None:
    assert literals(f'{{"to": "12015550142", "odd": {value}}}'.encode()) == {"to": "12015550142", "odd": text}


@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.sampled_from(["{%s}", '{"nested":{"a":[%s]}}']).map(lambda shape: shape.replace("{%s}", '{"a":%s}')),
)
def test_every_json_number_keeps_its_literal_wherever_it_stands(literal: str, shape: str) -> None:
    reading = read(callback((shape % literal).encode()))
    assert reading is not None
    fields = reading.fields["nested"]["a"][0] if "nested" in reading.fields else reading.fields["a"]
    assert parameters({"a": fields}) == {"a": literal}


def test_of_a_repeated_name_the_last_literal_counts() -> None:
    assert literals(b'{"price": 1.10, "price": 2.20}') == {"price": "2.20"}


@pytest.mark.parametrize("request_of", [form_callback, get_callback])
def test_form_and_query_parameters_are_signed_as_they_are(request_of: Any) -> None:
    sent = {"text": "null", "price": "0.0330", "empty": ""}
    assert parameters_of(request_of(sent)) == sent


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))))
def test_text_in_json_is_signed_as_it_reads(sent: dict[str, str]) -> None:
    assert parameters_of(json_callback(sent)) == sent


@given(st.dictionaries(any_text, any_text))
def test_bytes_of_any_text_can_be_signed(sent: dict[str, str]) -> None:
    for name, text in parameters_of(json_callback(sent)).items():
        (name + text).encode("utf-8", "surrogateescape")


@given(hostile_fields)
def test_any_payload_has_a_text_for_each_of_its_names(payload: dict[str, Any]) -> None:
    assert all(isinstance(text, str) for text in parameters_of(json_callback(payload)).values())
