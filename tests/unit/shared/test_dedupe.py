"""The set and the integer that remember an event id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.queue.dedupe import BUCKET_BITS, MEMBER_BITS, PERIODS, period, place

digits = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")


@given(digits)
def test_a_member_is_what_redis_keeps_in_eight_bytes_and_a_bucket_is_one_of_131072(hexadecimal: str) -> None:
    bucket, member = place(f"m-{hexadecimal}")
    assert 0 <= int(bucket, 16) < 2**BUCKET_BITS == 131_072
    assert -(2**63) <= int(member) < 2**63
    assert member == str(int(member)), "Redis takes an integer only in its shortest form"


@given(digits, st.integers(0, 127))
def test_ids_that_differ_in_one_bit_have_places_of_their_own(hexadecimal: str, bit: int) -> None:
    other = int(hexadecimal, 16) ^ (1 << bit)
    assert place(f"m-{hexadecimal}") != place(f"m-{other:032x}")


@given(st.sets(st.integers(0, 2**81 - 1), max_size=20))
def test_no_two_of_81_bits_share_a_place(numbers: set[int]) -> None:
    assert len({place(f"m-{number:032x}") for number in numbers}) == len(numbers)


def test_an_id_of_another_form_has_a_place_too() -> None:
    assert place("something else") == place("something else") != place("something")


@pytest.mark.parametrize(("window", "seconds"), [(259_200, 86_400), (1, 1), (10, 4)])
def test_three_periods_cover_the_window(window: int, seconds: int) -> None:
    assert period(window) == seconds
    assert PERIODS * seconds >= window


def test_a_false_duplicate_is_less_likely_than_one_in_a_hundred_million_windows() -> None:
    ids = 300 * 4 * 86_400
    assert ids * (ids - 1) / 2 / 2 ** (BUCKET_BITS + MEMBER_BITS) < 1e-8
