"""Which handlers the loader finds, and what it says of modules that cannot work."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ackfirst.shared.errors import ConfigurationError
from ackfirst.workers.handlers.loader import load
from ackfirst.workers.handlers.registry import Registry

_COUNTER = iter(range(10_000))


class Modules:
    """Writes modules under names that no other test has used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"t{next(_COUNTER)}"

    def write(self, name: str, code: str) -> str:
        full = f"{self.mark}_{name}"
        (self.folder / f"{full}.py").write_text(code.replace("{t}", self.mark))
        return full

    def load(self, *names: str) -> Registry:
        return load(names, timeout=30, job_timeout=180, retries=6, folder=self.folder)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Modules]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield Modules(tmp_path)
    for name in set(sys.modules) - before:
        del sys.modules[name]


_TWO = "from ackfirst import on\n@on()\ndef b(event): ...\n@on()\nasync def a(event): ...\ndef helper(event): ...\n"


def test_handlers_are_found_in_the_order_of_their_definition(modules: Modules) -> None:
    name = modules.write("plain", _TWO)
    assert [handler.name for handler in modules.load(name)] == [f"{name}.b", f"{name}.a"]


def test_handlers_that_a_module_imports_count_once(modules: Modules) -> None:
    plain = modules.write("plain", _TWO)
    gathering = modules.write("gathering", "from {t}_plain import a, b\nfrom ackfirst import on\n")
    assert len(modules.load(gathering, plain)) == 2


@pytest.mark.parametrize(
    ("code", "cause", "line"),
    [
        ("import os\nimport no_such_thing\n", "No module named 'no_such_thing'", 2),
        ("x = 1\n\ny = 1 / 0\n", "ZeroDivisionError", 3),
        ("def broken(:\n", "SyntaxError", 1),
        ("import sys\nsys.exit('bye')\n", "SystemExit: bye", 2),
        ("from ackfirst import on\n\n@on('nonsense')\ndef h(event): ...\n", "no family is called", 3),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_line_and_cause(
    modules: Modules, code: str, cause: str, line: int
) -> None:
    name = modules.write("broken", code)
    with pytest.raises(ConfigurationError) as caught:
        modules.load(name)
    message = str(caught.value)
    assert name in message
    assert cause in message
    assert f"{name}.py, line {line})" in message
    assert "\n" not in message


def test_a_module_that_does_not_exist_is_named(modules: Modules) -> None:
    with pytest.raises(ConfigurationError, match=r"the handler module 'nowhere\.at_all'.*ACKFIRST_HANDLERS"):
        modules.load("nowhere.at_all")


def test_two_handlers_with_one_name_are_refused(modules: Modules) -> None:
    name = modules.write(
        "twins",
        "from ackfirst import on\ndef make():\n    def twin(e): ...\n    return on()(twin)\na = make()\nb = make()\n",
    )
    with pytest.raises(ConfigurationError, match="two handlers are called"):
        modules.load(name)


def test_a_timeout_beyond_that_of_the_job_is_refused(modules: Modules) -> None:
    name = modules.write("slow", "from ackfirst import on\n@on(timeout=600)\ndef h(event): ...\n")
    with pytest.raises(ConfigurationError, match=r"600 s.*180 s.*ACKFIRST_HANDLER_TIMEOUT"):
        modules.load(name)
