"""The handlers that users copy: they do what their text says."""

import importlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
import structlog

from ackfirst import Context, Discard, RetryLater
from ackfirst.shared.nexmo.event import Event, EventError
from ackfirst.simulator.ledger import handled_events

EVENT = Event(
    id="m-0123",
    family="inbound-message",
    channel="whatsapp",
    message_id="b7c40d16",
    status=None,
    sender="447700900417",
    recipient="4930555017",
    text="Moor at berth 7?",
    content_type="text",
    occurred_at=None,
    received_at=datetime(2026, 3, 4, tzinfo=UTC),
    account="k7m2p9qa",
    application_id=None,
    client_ref=None,
    error=None,
    price=None,
    payload={},
    raw=b"{}",
)


@pytest.fixture
def handlers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example module with a data folder of its own."""
    monkeypatch.setenv("ACKFIRST_DATA_DIR", str(tmp_path / "data"))
    module = importlib.import_module("examples.handlers")
    yield module
    if module.table.cache_info().currsize:
        module.table().close()
    module.table.cache_clear()


@pytest.fixture
def context() -> Context:
    log = structlog.get_logger()
    return Context(attempt=1, retries_left=6, handler="h", idempotency_key="m-0123:h", log=log)


def test_an_event_that_is_stored_twice_is_one_row_that_knows_of_both(handlers: ModuleType, tmp_path: Path) -> None:
    handlers.store(EVENT)
    handlers.store(EVENT)
    handlers.store(replace(EVENT, id="m-0456"))
    assert handled_events(tmp_path / "data") == {"m-0123": 2, "m-0456": 1}


def test_a_stored_event_can_be_read_while_the_worker_goes_on(handlers: ModuleType, tmp_path: Path) -> None:
    handlers.store(EVENT)
    with sqlite3.connect(tmp_path / "data" / "events.db") as reader:
        rows = reader.execute("SELECT family, channel, message_id FROM events").fetchall()
    reader.close()
    assert rows == [("inbound-message", "whatsapp", "b7c40d16")]


def test_nothing_is_handled_before_there_is_a_table(tmp_path: Path) -> None:
    assert handled_events(tmp_path) == {}
    sqlite3.connect(tmp_path / "events.db").close()
    assert handled_events(tmp_path) == {}


async def test_a_reply_goes_to_the_sender_and_quotes_the_text(
    handlers: ModuleType, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, str]] = []

    async def send(recipient: str, text: str, _context: Context) -> None:
        sent.append((recipient, text))

    monkeypatch.setattr(handlers, "send", send)
    await handlers.reply(EVENT, context)
    assert sent == [("447700900417", "Thank you, we have received: Moor at berth 7?")]


async def test_the_log_line_of_a_reply_holds_neither_number_nor_text(handlers: ModuleType, context: Context) -> None:
    with structlog.testing.capture_logs() as lines:
        await handlers.reply(EVENT, context)
    (line,) = lines
    assert "447700900417" not in str(line)
    assert "berth" not in str(line)


async def test_a_message_without_text_needs_no_reply(handlers: ModuleType, context: Context) -> None:
    with pytest.raises(Discard):
        await handlers.reply(replace(EVENT, text=None), context)


async def test_a_reply_waits_when_the_service_is_busy(
    handlers: ModuleType, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(*_args: object) -> None:
        raise handlers.BusyError

    monkeypatch.setattr(handlers, "send", send)
    with pytest.raises(RetryLater):
        await handlers.reply(EVENT, context)


@pytest.mark.parametrize("error", [EventError("1490", "a part was late"), None])
def test_an_alarm_names_the_message_and_the_code(
    handlers: ModuleType, context: Context, error: EventError | None
) -> None:
    with structlog.testing.capture_logs() as lines:
        handlers.alert(replace(EVENT, family="message-status", status="rejected", error=error), context)
    assert lines[0]["message_id"] == "b7c40d16"
    assert lines[0]["code"] == (error.code if error else None)
