"""Where an event id is remembered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dedupe import BUCKET_BITS, MEMBER_BITS, PERIODS, period, place

digits = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")


@given(digits)
def test_a_member_is_what_redis_keeps_in_eight_bytes_and_a_bucket_is_one_of_131072(hexadecimal: str) -> None:
    bucket, member = place(f"m-{hexadecimal}")
    assert 0 <= int(bucket, 16) < 2**BUCKET_BITS == 131_072
    assert -(2**63) <= int(member) < 2**63
    assert member == str(int(member)), "Redis takes an integer only in its shortest form"


@given(digits, digits)
def test_two_ids_share_a_place_only_if_their_first_81_bits_agree(one: str, other: str) -> None:
    shift = 128 - BUCKET_BITS - MEMBER_BITS
    agree = int(one, 16) >> shift == int(other, 16) >> shift
    assert (place(f"m-{one}") == place(f"m-{other}")) is agree


def test_an_id_of_another_form_has_a_place_too() -> None:
    assert place("something else") == place("something else") != place("something")


@pytest.mark.parametrize(("window", "seconds"), [(259_200, 86_400), (1, 1), (10, 4)])
def test_three_periods_cover_the_window(window: int, seconds: int) -> None:
    assert period(window) == seconds
    assert PERIODS * seconds >= window


def test_a_false_duplicate_is_less_likely_than_one_in_a_hundred_million_windows() -> None:
    ids = 300 * 4 * 86_400
    assert ids * (ids - 1) / 2 / 2 ** (BUCKET_BITS + MEMBER_BITS) < 1e-8
