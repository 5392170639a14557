"""Define the fixtures. pytest imports this module in every run, so each fixture imports what is slow to import."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ackfirst import Context, Event
    from ackfirst.pytest_plugin.nexmo import Nexmo

_INI = "ackfirst_handlers"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Define the plugin's only setting."""
    parser.addini(_INI, "Modules with the handlers that the fixture nexmo runs.", type="args", default=[])


@pytest.fixture
def nexmo(pytestconfig: pytest.Config) -> Iterator[Nexmo]:
    """A simulated Nexmo for the handlers of ``ackfirst_handlers``, of ACKFIRST_HANDLERS, or of ``use``."""
    from ackfirst.pytest_plugin.nexmo import Nexmo  # noqa: PLC0415 - slow to import, and pytest imports the plugin in every run

    modules = pytestconfig.getini(_INI) or filter(None, os.environ.get("ACKFIRST_HANDLERS", "").split(","))
    with Nexmo(folder=pytestconfig.rootpath) as simulated:
        simulated.use(*(name.strip() for name in modules))
        yield simulated


@pytest.fixture
def nexmo_event() -> Callable[..., Event]:
    """Make an event as a handler gets it: ``nexmo_event("inbound-message", channel="whatsapp", text="hi")``."""
    from ackfirst.pytest_plugin.nexmo import Nexmo  # noqa: PLC0415 - as above

    return Nexmo().event


@pytest.fixture
def nexmo_context() -> Context:
    """A context for calling a handler that takes two arguments directly."""
    from ackfirst.pytest_plugin.nexmo import context  # noqa: PLC0415 - as above

    return context()
