"""What ``@on`` accepts, and which events its handlers get."""

import functools
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst import Context, Event, on
from ackfirst.workers.handlers.handler import Handler, handler_of, is_handler
from tests.support.events import make_event
from tests.support.processes import ROOT


def _handler(decorate: Callable[[Any], Any]) -> Handler:
    def function(event: Event) -> None: ...

    return handler_of(decorate(function), timeout=30, retries=6)


def test_no_condition_matches_every_event() -> None:
    assert _handler(on()).wants(make_event(family="other", channel=None, status=None))


@pytest.mark.parametrize(
    ("decorate", "wanted"),
    [
        (on("inbound-message"), True),
        (on("message-status"), False),
        (on({"message-status", "inbound-message"}), True),
        (on(channel="sms"), True),
        (on(channel="SMS"), True),
        (on(channel=["whatsapp", "viber_service"]), False),
        (on(status="delivered"), False),
        (on(application="c4a1e7d0-52b3-4f6f-a9d8-3e0b7c612f45"), True),
        (on(account="k7m2p9qa", content_type="text"), True),
        (on(account="k7m2p9qa", content_type="image"), False),
        (on("inbound-message", channel="mms"), False),
    ],
)
def test_all_conditions_must_hold(decorate: Callable[[Any], Any], wanted: bool) -> None:
    assert _handler(decorate).wants(make_event()) is wanted


def test_any_of_several_decorators_is_enough_and_limits_may_stand_on_any() -> None:
    handler = _handler(lambda function: on(channel="mms", timeout=3)(on(channel="sms", retries=1)(function)))
    assert handler.wants(make_event(channel="sms"))
    assert handler.wants(make_event(channel="mms"))
    assert not handler.wants(make_event(channel="rcs"))
    assert (handler.timeout, handler.retries) == (3, 1)


def test_limits_come_from_the_settings_where_the_decorator_is_silent() -> None:
    assert (_handler(on()).timeout, _handler(on()).retries) == (30, 6)
    assert _handler(on(retries=0)).retries == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: on("message-statuss"), "no family is called 'message-statuss'"),
        (lambda: on(chanel="sms"), "chanel"),
        (lambda: on(channel=()), "channel= takes"),
        (lambda: on(channel=7), "channel= takes"),
        (lambda: on(status=["read", None]), "status= takes"),
        (lambda: on(timeout=0), "timeout= takes"),
        (lambda: on(timeout=float("nan")), "timeout= takes"),
        (lambda: on(retries=-1), "retries= takes"),
        (lambda: on(lambda event: None), "parentheses"),
    ],
)
def test_a_decorator_that_cannot_work_fails_at_import(wrong: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        wrong()


def _nothing() -> None: ...
def _three(a: Any, b: Any, c: Any) -> None: ...
def _keyword(event: Any, *, needed: Any) -> None: ...


def _yields(event: Any) -> Iterator[None]:
    yield


async def _yields_async(event: Any) -> AsyncIterator[None]:
    yield


class _Class:
    """Not a function."""

    def method(self, event: Any) -> None: ...


def test_a_method_is_refused_because_nobody_would_find_it() -> None:
    with pytest.raises(TypeError, match=r"_Class\.method is a method of _Class"):
        on()(_Class.method)


@pytest.mark.parametrize("wrong", [_nothing, _three, _keyword, _yields, _yields_async, _Class])
def test_a_function_that_cannot_be_called_with_an_event_fails_at_import(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"must take \(event\)|decorates functions|yield"):
        on()(wrong)


def _one(event: Event) -> None: ...
def _two(event: Event, context: Context) -> None: ...
def _optional(event: Event, context: Context | None = None) -> None: ...
def _starred(*arguments: Any) -> None: ...
def _one_and_option(event: Event, *, option: int = 0) -> None: ...


@pytest.mark.parametrize(
    ("function", "takes"), [(_one, False), (_two, True), (_optional, True), (_starred, True), (_one_and_option, False)]
)
def test_a_handler_gets_the_context_if_it_can_take_it(function: Any, takes: bool) -> None:
    assert handler_of(on()(function), timeout=1, retries=1).takes_context is takes


def test_a_decorated_function_stays_itself_and_survives_wrapping() -> None:
    @on()
    def inner(event: Event) -> str:
        return "done"

    @functools.wraps(inner)
    def outer(*arguments: Any) -> Any:
        return inner(*arguments)

    assert inner(make_event()) == "done"
    assert is_handler(outer)
    assert not is_handler(_one_and_option.__call__)


@given(st.one_of(st.none(), st.text()), st.sets(st.text(), min_size=1))
def test_a_condition_holds_exactly_for_its_values(channel: str | None, wanted: set[str]) -> None:
    matches = _handler(on(channel=wanted)).wants(make_event(channel=channel))
    assert matches is (channel is not None and channel.lower() in {one.lower() for one in wanted})


def test_importing_the_package_imports_neither_rq_nor_redis() -> None:
    code = "import ackfirst, sys; sys.exit(bool({'rq', 'redis', 'aiohttp', 'pydantic'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
