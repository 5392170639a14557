"""Masked values: enough to tell two apart, not enough to know whose they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared import masking


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("447700900417", "447•••••417"),
        ("12015550142", "120•••••142"),
        ("40404", "•••••"),
        ("Acme Ltd", "•••••td"),
        ("", "•••••"),
    ],
)
def test_a_number_keeps_its_ends_only(value: str, masked: str) -> None:
    assert masking.number(value) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ValueError: no route to +447700900417.", "ValueError: no route to +447•••••417."),
        ("job 59ccfabc-2321-4775-8007-123456789012, line 120", "job 59ccfabc-2321-4775-8007-123456789012, line 120"),
    ],
)
def test_within_a_text_only_numbers_are_masked(text: str, masked: str) -> None:
    assert masking.numbers(text) == masked


def test_of_a_text_only_the_length_is_left() -> None:
    assert masking.text("Moor at berth 7?") == "•••(16)"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:hunter2@cache:6379/0", "redis://•••@cache:6379/0"),
        ("redis://app:hun/te@r2@cache/0", "redis://•••@cache/0"),
        ("redis+sentinel://:hunter2@a:1,b:2/m/0", "redis+sentinel://•••@a:1,b:2/m/0"),
        ("unix:///run/s?db=1&password=hunter2", "unix:///run/s?db=1&password=•••"),
        (
            "redis+sentinel://a/m?sentinel_password=hunter2&ssl=true",
            "redis+sentinel://a/m?sentinel_password=•••&ssl=true",
        ),
    ],
)
def test_a_url_keeps_no_password(url: str, masked: str) -> None:
    assert masking.url(url) == masked


@given(st.text(min_size=1))
def test_no_password_shines_through_however_badly_it_is_written(password: str) -> None:
    secret = f"<{password}>"
    assert secret not in masking.url(f"rediss://user:{secret}@cache:6379/0")
