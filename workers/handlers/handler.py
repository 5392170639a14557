"""Make functions handlers with the ``@on`` decorator.

The decorator only leaves a note on the function; the loader looks for such notes in the configured modules. So there is
no registry at module level, and a module that is imported for another reason registers nothing.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ackfirst.shared.nexmo.event import Event
from ackfirst.workers.handlers import filters
from ackfirst.workers.handlers.filters import Filter, Wanted

Function = TypeVar("Function", bound=Callable[..., Any])

_NOTE: Final = "__ackfirst_on__"
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class _Note:
    filters: tuple[Filter, ...]
    timeout: float | None
    retries: int | None
    serial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A user's function, the events that it wants, and its limits."""

    name: str
    """``module.function``; its marks in Redis are kept under this name."""
    function: Callable[..., Any]
    filters: tuple[Filter, ...]
    """One for each ``@on``; any of them is enough."""
    timeout: float
    """Seconds that one attempt may take."""
    retries: int
    """Attempts after the first."""
    takes_context: bool
    is_async: bool = False
    """Whether a call only makes a coroutine."""
    serial: bool = False
    """Whether it must not run twice at once in one process."""

    def wants(self, event: Event) -> bool:
        """Return whether any filter matches."""
        return any(one.matches(event) for one in self.filters)

    def trim_traceback(self, error: BaseException) -> None:
        """Let the error's traceback begin at the handler's own code: the frames before it say nothing to its author."""
        code = getattr(self.function, "__code__", None)
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code is not code:
            trace = trace.tb_next
        if trace is not None:  # else the error was raised before the handler's first line
            error.__traceback__ = trace


def on(
    family: Wanted = None,
    /,
    *,
    channel: Wanted = None,
    status: Wanted = None,
    application: Wanted = None,
    account: Wanted = None,
    content_type: Wanted = None,
    timeout: float | None = None,
    retries: int | None = None,
    serial: bool = False,
) -> Callable[[Function], Function]:
    """Make a function (plain or ``async``) a handler of the events that fulfil all conditions; none: of every event.

    A condition is a text or several of them. Decorated more than once, a function runs once for an event that any of
    the decorators matches. The function takes ``(event)`` or ``(event, context)``.

    Args:
        family: ``inbound-message``, ``message-status``, ``inbound-sms``, ``delivery-receipt`` or ``other``.
        channel: Such as ``sms`` or ``whatsapp``.
        status: Such as ``delivered`` or ``rejected``.
        application: Id of a Nexmo application.
        account: API key of a Nexmo account.
        content_type: Such as ``text`` or ``image``.
        timeout: Seconds that one attempt may take; ``ACKFIRST_HANDLER_TIMEOUT`` when not given.
        retries: Attempts after the first; one for each wait in ``ACKFIRST_RETRY_SCHEDULE`` when not given.
        serial: Never run it twice at once in one worker process, for code that is not safe in threads.

    Raises:
        TypeError, ValueError: A condition, limit or function that cannot work; at import, not at the first event.
    """
    if callable(family):
        raise TypeError("write @on() with parentheses")
    wanted = {"family": family, "channel": channel, "status": status, "application": application}
    made = filters.build({**wanted, "account": account, "content_type": content_type})
    note = _Note((made,), _checked_timeout(timeout), _checked_retries(retries), serial)

    def decorate(function: Function) -> Function:
        _refuse_method(function)
        _positional_count(function)
        setattr(function, _NOTE, _joined(note, getattr(function, _NOTE, None)))
        return function

    return decorate


def is_handler(value: Any) -> bool:
    """Return whether ``value`` is a function that ``@on`` decorated."""
    return inspect.isroutine(value) and isinstance(getattr(value, _NOTE, None), _Note)


def handler_of(function: Callable[..., Any], *, timeout: float, retries: int) -> Handler:
    """The handler that a decorated function is; the arguments hold where the decorator says nothing."""
    note: _Note = getattr(function, _NOTE)
    return Handler(
        name=f"{function.__module__}.{function.__qualname__}",
        function=function,
        filters=note.filters,
        timeout=timeout if note.timeout is None else note.timeout,
        retries=retries if note.retries is None else note.retries,
        takes_context=_positional_count(function) > 1,
        is_async=inspect.iscoroutinefunction(function),
        serial=note.serial,
    )


def _joined(outer: _Note, inner: _Note | None) -> _Note:
    if inner is None:
        return outer
    timeout = inner.timeout if outer.timeout is None else outer.timeout
    retries = inner.retries if outer.retries is None else outer.retries
    return _Note((*inner.filters, *outer.filters), timeout, retries, inner.serial or outer.serial)


def _checked_timeout(timeout: float | None) -> float | None:
    if timeout is not None and not 0 < timeout < float("inf"):
        raise ValueError(f"timeout= takes a number of seconds above 0, not {timeout!r}")
    return timeout


def _checked_retries(retries: int | None) -> int | None:
    if retries is not None and retries < 0:
        raise ValueError(f"retries= takes a whole number from 0 up, not {retries!r}")
    return retries


def _refuse_method(function: Callable[..., Any]) -> None:
    """Refuse a method: handlers are looked for among a module's own names, so it would never run."""
    around = getattr(function, "__qualname__", "").rpartition(".")[0]
    if around and not around.endswith("<locals>"):
        raise TypeError(f"{function.__qualname__} is a method of {around}: @on decorates functions of a module")


def _positional_count(function: Callable[..., Any]) -> int:
    """Count the positional arguments that a handler is called with: 1 or 2."""
    if not inspect.isroutine(function):
        raise TypeError(f"@on decorates functions, not {function!r}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__} has a yield in it, so a call would only make a generator")
    parameters = inspect.signature(function).parameters.values()
    plain = [one for one in parameters if one.kind in _POSITIONAL]
    required = [one for one in plain if one.default is one.empty]
    starred = any(one.kind is one.VAR_POSITIONAL for one in parameters)
    keywords = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.default is one.empty]
    if keywords or len(required) > 2 or not (plain or starred):  # noqa: PLR2004 - event and context
        raise TypeError(f"{function.__qualname__} must take (event) or (event, context)")
    return 2 if starred or len(plain) > 1 else 1
