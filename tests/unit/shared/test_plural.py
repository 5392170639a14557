"""How a count is written with its noun."""

import pytest

from ackfirst.shared.plural import plural


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 events"), (1, "1 event"), (2, "2 events"), (1_234_567, "1,234,567 events")]
)
def test_only_one_is_singular(count: int, text: str) -> None:
    assert plural(count, "event") == text


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert [plural(count, "process", "processes") for count in (1, 2)] == ["1 process", "2 processes"]
