"""Names of RQ's keys stand in one module: a new version of RQ is one file to look at."""

import re

import pytest

from ackfirst.shared.queue import keys
from tests.support.processes import ROOT


@pytest.mark.parametrize("room", ["ingest", "ops", "shared", "simulator", "pytest_plugin"])
def test_no_module_but_one_spells_a_key_of_rq(room: str) -> None:
    files = [file for file in (ROOT / room).rglob("*.py") if file != ROOT / "shared" / "queue" / "keys.py"]
    assert [file.name for file in files if re.search(r"""["']rq:""", file.read_text())] == []


def test_rights_are_asked_for_every_space_of_keys() -> None:
    source = (ROOT / "shared" / "queue" / "keys.py").read_text()
    names = set(re.findall(r"""f?"((?:rq|ackfirst):[^"{]*)""", source))
    prefixes = tuple(space for space in keys.SPACES if space.endswith(":"))
    assert [name for name in names if not name.startswith(prefixes) and name not in keys.SPACES] == []
