"""Log lines: both formats, what is masked, what is never shown."""

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from ackfirst.shared import log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def configured(stream: io.StringIO | None = None, **options: Any) -> tuple[io.StringIO, Any]:
    stream = stream or io.StringIO()
    log.configure(**{"format": "json", "level": "info", "stream": stream, **options})
    return stream, structlog.get_logger()


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_level_and_utc_time() -> None:
    stream, logger = configured()
    logger.info("callback.received", event_id="m-1", ack_ms=1.5)
    (line,) = lines(stream)
    assert line["event"] == "callback.received"
    assert (line["event_id"], line["ack_ms"], line["level"]) == ("m-1", 1.5, "info")
    assert line["timestamp"].endswith("Z")


def test_what_libraries_log_comes_out_the_same_way() -> None:
    stream, _ = configured()
    logging.getLogger("aiohttp.server").warning("slow %s", "peer")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("slow peer", "warning", "aiohttp.server")


def test_python_warnings_are_logged() -> None:
    stream, _ = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old call", stacklevel=1)
    assert "old call" in lines(stream)[0]["event"]


def test_lines_below_the_level_are_not_written() -> None:
    stream, logger = configured(level="warning")
    logger.info("quiet")
    logging.getLogger("x").info("quiet")
    logger.warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_numbers_and_texts_are_masked() -> None:
    stream, logger = configured()
    logger.info("x", sender="447700900417", recipient="12015550142", text="Moor at berth 7?", payload={"a": 1})
    (line,) = lines(stream)
    assert line["sender"] == "447•••••417"
    assert line["recipient"] == "120•••••142"
    assert line["text"] == "•••(16)"
    assert line["payload"] == "•••(8)"


def test_numbers_and_texts_are_shown_to_who_asks_for_them() -> None:
    stream, logger = configured(personal=True)
    logger.info("x", sender="447700900417", text="Moor")
    (line,) = lines(stream)
    assert (line["sender"], line["text"]) == ("447700900417", "Moor")


def test_a_secret_is_never_shown_but_its_place_in_the_list_is() -> None:
    stream, logger = configured(personal=True)
    logger.info("x", secret="orchid", token="eyJ", password=b"orchid")
    logger.info("y", secret=1)
    assert "orchid" not in stream.getvalue()
    assert "eyJ" not in stream.getvalue()
    assert lines(stream)[1]["secret"] == 1


@pytest.mark.parametrize(
    "value", ["\ud800\udcff", 10**30, float("nan"), {1: "a"}, {"\udcff": 2}, object(), b"\xff", "\x00\n"]
)
def test_any_value_can_be_logged_as_one_line(value: object) -> None:
    stream, logger = configured()
    logger.info("x", path=value)
    assert len(stream.getvalue().splitlines()) == 1
    assert lines(stream)[0]["event"] == "x"


def _fail(hidden: str) -> None:
    raise ValueError(len(hidden))


def test_a_traceback_is_in_the_line_without_local_variables() -> None:
    for format_ in ("json", "console"):
        stream, logger = configured(format=format_)
        try:
            _fail("or" + "chid")
        except ValueError:
            logger.exception("failed")
        assert "ValueError: 6" in stream.getvalue()
        assert "test_log.py" in stream.getvalue()
        assert "orchid" not in stream.getvalue()


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("personal", [False, True])
def test_a_phone_number_in_a_traceback_is_masked_like_any_other(format_: str, *, personal: bool) -> None:
    stream, logger = configured(format=format_, personal=personal)
    failure = ValueError("no route to 447700900417")
    logger.warning("handler.failed", exc_info=failure)
    logging.getLogger("app").warning("failed", exc_info=failure)
    assert stream.getvalue().count("447700900417") == (2 if personal else 0)
    assert stream.getvalue().count("447•••••417") == (0 if personal else 2)


def test_numbers_that_a_line_holds_are_masked_in_its_messages_in_any_grouping() -> None:
    stream, logger = configured(format="json")
    failure = ValueError("no route to id59ccfabc-2321-4775-8007-447700900417 or +44 (7700) 900-417")
    logger.warning("handler.failed", exc_info=failure, error=str(failure), recipient="447700900417")
    logging.getLogger("app").warning("no route to %s", "+44 7700 900 417")
    assert not re.search(r"900.?417", stream.getvalue())
    assert stream.getvalue().count("•••••") >= 6


def test_a_line_of_json_begins_with_when_how_bad_and_what() -> None:
    stream, logger = configured()
    logger.info("callback.received", account=None, verdict="probe")
    logging.getLogger("x").warning("late")
    for line in lines(stream):
        assert list(line)[:3] == ["timestamp", "level", "event"]
    assert lines(stream)[0]["account"] is None


def test_a_terminal_is_not_shown_what_is_not_known() -> None:
    stream, logger = configured(format="console")
    logger.info("callback.received", account=None, lag=0, verdict="probe")
    assert "verdict=probe" in stream.getvalue()
    assert "lag=0" in stream.getvalue()
    assert "account" not in stream.getvalue()


def test_a_log_that_cannot_be_written_does_not_stop_the_work() -> None:
    _, logger = configured(Full())
    logger.info("x")


def test_a_terminal_gets_lines_for_the_eye_and_a_file_gets_json() -> None:
    terminal, logger = configured(Terminal(), format=None)
    logger.info("hello", a=1)
    assert "hello" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    file, logger = configured(format=None)
    logger.info("hello", a=1)
    assert lines(file)[0]["a"] == 1


def test_a_strangers_bytes_do_not_steer_the_terminal() -> None:
    stream, logger = configured(format="console")
    logger.info("x", path="/\x1b[2J\n\udcff", other="café")
    assert "\x1b[2J" not in stream.getvalue()
    assert "café" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1
    stream.getvalue().encode()


def test_each_configuration_replaces_the_one_before() -> None:
    first, _ = configured()
    second, logger = configured()
    logger.info("x")
    logging.getLogger("y").warning("y")
    assert first.getvalue() == ""
    assert len(lines(second)) == 2


def test_a_message_of_megabytes_is_cut_before_numbers_are_looked_for_in_it() -> None:
    stream, logger = configured()
    error = ValueError("from 447700900417 " + "y" * 20_000_000 + " to 447700900418")
    logger.error("handler.failed", exc_info=error)
    (line,) = lines(stream)
    assert len(line["exception"]) < 51_000
    assert "characters left out" in line["exception"]
    assert not re.search("4477009004", line["exception"])
