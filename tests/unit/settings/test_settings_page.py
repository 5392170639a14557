"""``docs/settings.md`` says what the model says."""

import re
from pathlib import Path

from ackfirst.shared.redis.url import OPTIONS
from ackfirst.shared.settings import SECRETS, Settings
from ackfirst.shared.settings.environment import variable
from tools.settings_table import table, unit

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "settings.md"

#: Names with our prefix that are no settings: of the compose file, and one that Kubernetes would add by itself.
NO_SETTINGS = {"ACKFIRST_IMAGE", "ACKFIRST_INGEST_SERVICE_HOST"}


def test_the_page_holds_the_table_of_the_model() -> None:
    assert table() in PAGE.read_text(), "run make docs"


def test_an_operator_has_few_settings_to_read() -> None:
    assert len(Settings.model_fields) <= 35


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_number_has_a_unit() -> None:
    numbers = [name for name, field in Settings.model_fields.items() if type(field.default) in (int, float)]
    assert len(numbers) > 4
    assert [name for name in numbers if not unit(name)] == []


def test_the_page_explains_exactly_the_supported_options_of_redis_urls() -> None:
    table = PAGE.read_text().partition("| option | in | value |")[2].partition("\n\n")[0]
    explained = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert explained == {name for options in OPTIONS.values() for name in options}


def test_documentation_and_deployment_name_no_setting_that_does_not_exist() -> None:
    names = {variable(name) for name in Settings.model_fields}
    known = names | NO_SETTINGS | {f"{variable(name)}_FILE" for name in SECRETS}
    folders = [file for folder in ("docs", "deploy", "config", "examples") for file in (ROOT / folder).rglob("*")]
    files = [*folders, *(ROOT / name for name in ("README.md", "docker-compose.yml", "Dockerfile", ".env.example"))]
    texts = {file: file.read_text(errors="replace") for file in files if file.is_file() and file.suffix != ".pyc"}
    found = {name for text in texts.values() for name in re.findall(r"\bACKFIRST_[A-Z_]*[A-Z]\b", text)}
    assert found - known == set()
