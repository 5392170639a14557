"""Masked values: enough to tell two apart, not enough to know whose they are."""

import re

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
    "written",
    [
        "+44 7700 900417",
        "+447700900417",
        "44-7700-900417",
        "(447700)900417",
        "+44 (0) 7700 900417",
        "+44.7700.900.417",
        "44\u00a07700\u202f900417",
        "07700 900 417",
        "+1 (201) 555-0142",
        "+1.2015550142",
        "201-555-0142",
        "01.42.68.53.00",
        "msisdn447700900417",
        "447700900417x",
        "tel:447700900417",
        "to_447700900417_",
        "447700900417@s.whatsapp.net",
    ],
)
def test_a_number_is_masked_in_any_grouping_with_any_prefix_or_suffix(written: str) -> None:
    masked = masking.numbers(f"ValueError: no route to '{written}'.")
    assert "•••••" in masked
    assert len(re.findall(r"\d", masked)) <= 6, "of twelve digits"


@pytest.mark.parametrize(
    "text",
    [
        "job 59ccfabc-2321-4775-8007-123456789012, line 120",
        "m-06dcd52c2504ac784fed4a33c478f192",
        "message 0A0000000123ABCD02",
        "<Handler object at 0x7fbac8b1b740>",
        "2026-11-28T01:05:00.123456Z",
        "2026-11-28 01:05:00,123 and 12:05:59.123456",
        "127.0.0.1:27631 and 192.168.100.200",
        "took 0.0012345678 s since 1764290000.123456",
        'File "/usr/lib/python3.11/site-packages/x.py", line 1234567, in f',
        "128 bytes, 3 of 20, status 503",
    ],
)
def test_what_helps_to_find_a_mistake_is_kept(text: str) -> None:
    assert masking.numbers(text) == text


@given(
    st.text("0123456789", min_size=7, max_size=15),
    st.lists(st.sampled_from(["", " ", "-", ".", "/", "(", ")", " (", ") ", "_", "\u00a0"]), min_size=15, max_size=15),
    st.sampled_from(["", "+", "x", "59ccfabc-2321-4775-8007-", "id0a0000000000000f", "1.", "2026-11-28 "]),
    st.sampled_from(["", "x", "-417f", ".5", "abcdef0123456789"]),
)
def test_a_number_that_the_event_holds_is_masked_wherever_it_stands(
    known: str, separators: list[str], before: str, after: str
) -> None:
    written = "".join(digit + separator for digit, separator in zip(known, separators, strict=False))
    masked = masking.numbers(f"{before}{written}{after}", [f"+{known}"])
    assert "•••••" in masked
    assert known not in re.sub(r"\D", "", masked.replace("•••••", "x").partition("x")[0][len(before) :])


@given(st.text())
def test_masking_ends_for_every_text_and_is_done_once(text: str) -> None:
    once = masking.numbers(text, ["447700900417"])
    assert masking.numbers(once, ["447700900417"]) == once


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
