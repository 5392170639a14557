"""``docs/settings.md`` says what the model says."""

from pathlib import Path

from ackfirst.shared.settings import Settings
from tests.support.settings_table import table, unit

PAGE = Path(__file__).resolve().parents[3] / "docs" / "settings.md"


def test_the_page_holds_the_table_of_the_model() -> None:
    assert table() in PAGE.read_text(), (
        "docs/settings.md is old: python -m tests.support.settings_table has the new table"
    )


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_number_has_a_unit() -> None:
    numbers = [name for name, field in Settings.model_fields.items() if type(field.default) in (int, float)]
    assert len(numbers) > 10
    assert [name for name in numbers if not unit(name)] == []
