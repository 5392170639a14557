"""Single values of a payload: read as what they can be, never a reason to fail."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.nexmo import values
from tests.support.callbacks import any_text, hostile_values

MOMENT = datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        ("", ""),
        (7, "7"),
        (-7, "-7"),
        (values.Number("0.50"), "0.50"),
        (values.Number("5e-05"), "5e-05"),
        (values.Number("1E21"), "1E21"),
        (True, None),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_text_and_numbers_have_a_text(value: Any, text: str | None) -> None:
    assert values.scalar(value) == text


@pytest.mark.parametrize("value", ["", "null", None, False, [], {}])
def test_no_value_is_no_value(value: Any) -> None:
    assert values.given(value) is None


@pytest.mark.parametrize("value", ["NULL", " ", "nullify", "0", 0])
def test_what_only_resembles_no_value_is_a_value(value: Any) -> None:
    assert values.given(value) == str(value)


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-04T09:15:27Z",
        "2026-03-04T09:15:27.000Z",
        "2026-03-04T09:15:27+00:00",
        "2026-03-04T14:45:27+05:30",
        "2026-03-04 09:15:27",
        " 2026-03-04 09:15:27 ",
        "\\2026-03-04 09:15:27",
        "1772615727",
        1772615727,
        values.Number("1772615727.0"),
        values.Number("1.772615727E9"),
        "1772615727000",
        1772615727000,
    ],
)
def test_a_moment_is_read_in_every_spelling(value: Any) -> None:
    assert values.instant(value) == MOMENT
    assert getattr(values.instant(value), "tzinfo", None) is UTC


@pytest.mark.parametrize(
    "value", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "9" * 400, "1e999", ".", "²"]
)
def test_a_moment_that_no_calendar_holds_is_none(value: str) -> None:
    assert values.instant(value) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_any_moment_survives_its_iso_text(moment: datetime) -> None:
    assert values.instant(moment.isoformat()) == moment


@given(st.datetimes(datetime(1970, 1, 2), datetime(2068, 12, 31)))  # noqa: DTZ001 - bounds must be naive
def test_a_carriers_time_has_minutes(moment: datetime) -> None:
    minute = moment.replace(second=0, microsecond=0, tzinfo=UTC)
    assert values.carrier_time(f"{minute:%y%m%d%H%M}") == minute


@pytest.mark.parametrize("value", ["260304091", "26030409155", "2613040915", "YYMMDDHHMM", "", None, {}])
def test_what_is_no_carriers_time_is_none(value: Any) -> None:
    assert values.carrier_time(value) is None


@given(hostile_values | any_text | st.floats())
def test_any_value_can_be_asked_anything(value: Any) -> None:
    for question in (values.scalar, values.given, values.lowered, values.party):
        assert isinstance(question(value), str | None)
    for moment in (values.instant(value), values.carrier_time(value)):
        assert moment is None or moment.tzinfo is UTC
    assert isinstance(values.members(value), dict)
    assert isinstance(values.items(value), list)
