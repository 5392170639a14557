"""Import the configured modules and collect their handlers, before a worker takes its first job.

A module's handlers are the decorated functions in its namespace, also those that it imports from elsewhere: a package
may gather its handlers in its ``__init__``.
"""

import importlib
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ackfirst.shared.errors import ConfigurationError
from ackfirst.workers.handlers.handler import Handler, handler_of, is_handler
from ackfirst.workers.handlers.registry import Registry

_HERE: Final = Path(__file__).parent


def load(modules: Iterable[str], *, timeout: float, job_timeout: float, retries: int, folder: Path) -> Registry:
    """Load the handlers of ``modules``; a function counts once, also when several modules import it.

    Args:
        modules: Dotted names.
        timeout: Seconds for handlers that name none of their own.
        job_timeout: Seconds for all handlers of one event together: no handler may ask for more.
        retries: For handlers that name none of their own.
        folder: Is searched for the modules first; the folder that the worker was started in.

    Raises:
        ConfigurationError: A module cannot be imported, or a handler in it cannot work.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    imported = [_import(name) for name in modules]
    functions = dict.fromkeys(function for module in imported for function in _decorated(module))
    registry = Registry(handler_of(function, timeout=timeout, retries=retries) for function in functions)
    for handler in registry:
        _check_timeout(handler, job_timeout)
    return registry


def _decorated(module: ModuleType) -> Iterator[Any]:
    return (value for value in vars(module).values() if is_handler(value))


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        cause = f"{type(error).__name__}: {error}"
        raise ConfigurationError(
            f"cannot import the handler module {name!r}: {cause}{_place(error)}; check ACKFIRST_HANDLERS"
        ) from error


def _place(error: BaseException) -> str:
    """Say where in the user's files an import failed; empty where it failed before the first line."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename and Path(frame.filename).parent != _HERE]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""


def _check_timeout(handler: Handler, job_timeout: float) -> None:
    if handler.timeout > job_timeout:
        raise ConfigurationError(
            f"the handler {handler.name} wants {handler.timeout:g} s, but one event may take {job_timeout:g} s in all: "
            "raise ACKFIRST_HANDLER_TIMEOUT, six times which is the limit of an event"
        )
