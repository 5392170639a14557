"""The fixtures with which users test their handlers: what is real in them is the same code as in production."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from ackfirst import Context, Discard, Event
from ackfirst.pytest_plugin.nexmo import Nexmo
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.family import Family
from tests.support import plugin_handlers

MakeEvent = Callable[..., Event]


@pytest.fixture
def mine(nexmo: Nexmo) -> Nexmo:
    nexmo.use(plugin_handlers)
    return nexmo


def names(nexmo: Nexmo) -> list[str]:
    return [one.handler.rpartition(".")[2] for one in nexmo.handled]


def test_a_callback_reaches_the_handlers_that_want_its_event(mine: Nexmo) -> None:
    sent = mine.send("inbound-message", channel="whatsapp", text="hi", sender="447700900123")

    assert (sent.status, sent.verdict, sent.outcome) == (200, "verified", "processed")
    assert names(mine) == ["reply"]
    (event,) = mine.events
    assert (event.text, event.sender, event.channel) == ("hi", "447700900123", "whatsapp")


def test_an_event_that_no_handler_wants_is_processed_all_the_same(mine: Nexmo) -> None:
    assert mine.send("inbound-sms").outcome == "processed"
    assert mine.handled == []


def test_the_same_callback_again_is_a_duplicate_that_no_handler_sees(mine: Nexmo) -> None:
    request = mine.request("inbound-message", text="hi")
    assert [mine.deliver(request).verdict for _ in range(2)] == ["verified", "duplicate"]
    assert len(mine.handled) == 1


def test_an_unsigned_callback_is_asked_to_come_again(mine: Nexmo) -> None:
    sent = mine.send("inbound-message", signed=False)
    assert (sent.status, sent.verdict, sent.event) == (503, "unsigned", None)
    assert mine.handled == []


def test_a_handler_that_asks_for_a_retry_gets_it_when_the_time_has_passed(mine: Nexmo) -> None:
    assert mine.send("inbound-message", text="busy").outcome == "retried"
    assert len(mine.handled) == 1
    assert mine.run_retries() == 2
    assert [one.attempt for one in mine.handled] == [1, 2, 3]
    assert mine.handled[-1].error is None


def test_a_handler_that_always_fails_ends_as_a_dead_letter(mine: Nexmo) -> None:
    mine.send("message-status", status="rejected", error="1000")
    assert mine.run_retries() == 6
    assert {type(one.error) for one in mine.handled} == {RuntimeError}
    assert mine.run_retries() == 0


async def test_async_handlers_run_from_an_async_test_too(mine: Nexmo) -> None:
    assert mine.send("inbound-message", text="hi").outcome == "processed"
    assert mine.send("inbound-message", content_type="unsupported").outcome == "discarded"
    assert isinstance(mine.handled[-1].error, Discard)


def test_an_event_can_be_made_for_a_direct_call(nexmo_event: MakeEvent, nexmo_context: Context) -> None:
    event = nexmo_event("message-status", status="rejected", error="1022", recipient="447700900123")
    assert (event.status, event.recipient) == ("rejected", "447700900123")
    assert event.error is not None
    assert event.error.code == "1022"
    plugin_handlers.alert(event)
    assert nexmo_context.attempt == 1


@pytest.mark.parametrize("family", list(Family))
def test_every_family_can_be_sent(family: Family, mine: Nexmo) -> None:
    sent = mine.send(family)
    assert sent.event is not None
    assert sent.event.family == family


@pytest.mark.parametrize("version", ["v1", "v0.1"])
@pytest.mark.parametrize("family", ["inbound-message", "message-status"])
def test_what_was_said_is_what_a_handler_sees(family: str, version: str, nexmo_event: MakeEvent) -> None:
    said = {"sender": "447700900123", "recipient": "12015550199", "message_id": "an-id"}
    more = {"text": "Ahoy"} if family == "inbound-message" else {"client_ref": "berth-7"}
    event = nexmo_event(family, version=version, channel="sms", **said, **more)
    assert {name: getattr(event, name) for name in {**said, **more}} == {**said, **more}


@pytest.mark.parametrize("transport", ["query", "form", "json"])
@pytest.mark.parametrize("family", ["inbound-sms", "delivery-receipt"])
def test_the_same_holds_for_the_sms_api(family: str, transport: str, nexmo_event: MakeEvent) -> None:
    said = {"sender": "447700900123", "recipient": "12015550199", "message_id": "0C00"}
    event = nexmo_event(family, transport=transport, **said)
    assert {name: getattr(event, name) for name in said} == said


def test_fields_of_the_wire_go_over_everything_else(nexmo_event: MakeEvent) -> None:
    assert nexmo_event("inbound-message", fields={"channel": "pigeon"}).channel == "pigeon"


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        ({"family": "voice"}, "no family is called 'voice'"),
        ({"family": "inbound-message", "channel": "pigeon"}, "use one of sms, mms, rcs"),
        ({"family": "inbound-message", "content_type": "image", "text": "x"}, "only content_type text has text="),
        ({"family": "inbound-sms", "error": "6"}, "has no error="),
        ({"family": "inbound-sms", "transport": "fax"}, "use one of query, form, json"),
        ({"family": "inbound-message", "version": "v2"}, "use one of v1, v0.1"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_what_can(wishes: dict[str, Any], why: str, nexmo: Nexmo) -> None:
    with pytest.raises(ValueError, match=why):
        nexmo.send(**wishes)


def test_a_module_that_cannot_be_imported_is_named(nexmo: Nexmo) -> None:
    with pytest.raises(ConfigurationError, match=r"no\.such\.module"):
        nexmo.use("no.such.module")


def test_a_test_takes_milliseconds(mine: Nexmo) -> None:
    begun = time.process_time()
    for _ in range(50):
        mine.send("inbound-message", text="hi")
    assert (time.process_time() - begun) / 50 < 0.01


def test_a_run_that_uses_no_fixture_imports_nothing_of_ours() -> None:
    script = (
        "import sys, ackfirst.pytest_plugin.plugin; "
        "sys.exit(any(name.split('.')[0] in ('workers', 'shared', 'simulator', 'redis') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
