"""Write every log line in one way, ours (structlog) and those of libraries (logging): JSON, or text for a terminal."""

import json
import logging
import sys
import time
from collections.abc import Callable, Container, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from threading import get_ident
from typing import Any, Final, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from ackfirst.shared import masking

#: Fields with a person's number or words. Masked unless the operator asks for them.
_NUMBERS: Final = frozenset({"sender", "recipient", "from", "to", "msisdn", "number"})
_TEXTS: Final = frozenset({"text", "body", "raw", "payload"})
#: Messages of programs, which may repeat a number.
_MESSAGES: Final = frozenset({"exception", "error", "reason", "cause"})
_PERSONAL: Final = _NUMBERS | _TEXTS | _MESSAGES
#: Characters of a program's message that are logged. More is cut in its middle, before it is masked: of a message of
#: 20 MB, the search for numbers alone took 15 s, in which no other thread of the process ran.
_LONGEST_MESSAGE: Final = 50_000
#: The first fields of a line of JSON: people read files of them.
_FIRST: Final = ("timestamp", "level", "event")
#: Never shown. ``secret`` as a number says which secret matched: only its text would be one.
_SECRETS: Final = frozenset(
    {"secret", "secrets", "signature_secret", "password", "token", "authorization", "url_token"}
)


def configure(
    *,
    format: Literal["json", "console"] | None,  # noqa: A002 - what the setting is called
    level: str,
    personal: bool = False,
    stream: TextIO | None = None,
    libraries: bool = True,
) -> "Sink":
    """Send every log line of this process to ``stream``, one line an event; return the sink that writes them.

    Args:
        format: ``json`` or ``console``; None chooses ``console`` where ``stream`` is a terminal.
        level: The least severe level that is written: ``debug``, ``info``, ``warning`` or ``error``.
        personal: Show numbers and texts as they are.
        stream: Where to; standard error by default, so that a command's own output stays clean.
        libraries: Send the lines of libraries there too. False in another program's process, which has its own way.
    """
    stream = stream or sys.stderr
    chosen = format or ("console" if stream.isatty() else "json")
    lines = _console(colours=stream.isatty()) if chosen == "console" else _JSON
    sink = Sink(stream)
    structlog.configure(
        processors=[*_common(personal=personal), *lines],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    if libraries:
        masked = [] if personal else [_mask_message]
        _adopt_logging(stream, level, [*_common(personal=personal), *masked], [*lines])
    return sink


class WideLines:
    """Writes the lines of which there is one a callback or event: the same lines as any logger's, in one step.

    Nothing is masked here: callers pass no secret, number or person's words.
    """

    def __init__(self, sink: "Sink", *, shown: Container[str]) -> None:
        self._sink = sink
        self._shown = shown

    def info(self, event: str, /, **fields: Any) -> None:
        """Log something ordinary."""
        if "info" in self._shown:
            self._sink.msg(_wide_line("info", event, fields))

    def warning(self, event: str, /, **fields: Any) -> None:
        """Log something that an operator should look at."""
        if "warning" in self._shown:
            self._sink.msg(_wide_line("warning", event, fields))


def wide_lines() -> Any:
    """Return ``WideLines`` if lines are JSON; otherwise, and while a test captures lines, a usual logger."""
    config = structlog.get_config()
    logger = structlog.get_logger().bind()
    if config["processors"][-1:] != _JSON:
        return logger
    levels = {"info": logging.INFO, "warning": logging.WARNING}
    shown = {name for name, level in levels.items() if logger.is_enabled_for(level)}
    return WideLines(config["logger_factory"](), shown=shown)


def _common(*, personal: bool) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secrets,
        structlog.processors.format_exc_info,  # before the masking: an exception's words may hold a number
        _shorten_messages,
        *([] if personal else [_mask_personal]),
    ]


def _adopt_logging(stream: TextIO, level: str, first: list[Processor], last: list[Processor]) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *first],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)


class Sink:
    """Writes finished lines. A full disk or a closed pipe loses the line, never the callback that it is about."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._soon: Callable[[Callable[[], None]], object] | None = None
        self._thread = 0
        self._lines: list[str] = []

    def gather(self, soon: Callable[[Callable[[], None]], object]) -> None:
        """Collect the lines of this thread until ``soon`` calls back: a write costs as much as making a line."""
        self._soon, self._thread = soon, get_ident()

    def scatter(self) -> None:
        """Write the collected lines, and every further line at once."""
        self._soon = None
        self._flush()

    def msg(self, line: str) -> None:
        """Write one line."""
        if self._soon is None or get_ident() != self._thread:
            self._write(line + "\n")
            return
        if not self._lines:
            self._soon(self._flush)
        self._lines.append(line)

    debug = info = warning = error = critical = exception = msg

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self._write("\n".join(lines) + "\n")

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


def _hide_secrets(_logger: Any, _name: str, event: EventDict) -> EventDict:
    if _SECRETS.isdisjoint(event):
        return event
    for name in _SECRETS & event.keys():
        if not isinstance(event[name], int | None):
            event[name] = "•••"
    return event


def _shorten_messages(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """Leave out the middle of very long messages, and of a library's line."""
    for name in (_MESSAGES | {"event"}) & event.keys():
        value = event[name]
        if isinstance(value, str) and len(value) > _LONGEST_MESSAGE:
            half = _LONGEST_MESSAGE // 2
            event[name] = f"{value[:half]}\n… {len(value) - 2 * half} characters left out …\n{value[-half:]}"
    return event


def _mask_personal(_logger: Any, _name: str, event: EventDict) -> EventDict:
    if _PERSONAL.isdisjoint(event):
        return event
    known = [str(event[name]) for name in _NUMBERS & event.keys() if event[name] is not None]
    for name in _NUMBERS & event.keys():
        if isinstance(event[name], str):
            event[name] = masking.number(event[name])
    for name in _MESSAGES & event.keys():
        if isinstance(event[name], str):
            event[name] = masking.numbers(event[name], known)
    for name in _TEXTS & event.keys():
        if event[name] is not None:
            event[name] = masking.text(str(event[name]))
    return event


def _mask_message(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """Mask numbers in a message of a library, which may repeat what it was given."""
    event["event"] = masking.numbers(str(event.get("event", "")))
    return event


def _json_line(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> str:
    event = {**{name: event[name] for name in _FIRST if name in event}, **event}
    try:
        return orjson.dumps(event, default=repr).decode()
    except TypeError:  # lone surrogates, huge integers, keys that are no text: a sender may send any of them
        return json.dumps({str(name): value for name, value in event.items()}, default=repr, skipkeys=True)


def _wide_line(level: str, event: str, fields: dict[str, Any]) -> str:
    line = {"timestamp": _now(), "level": level, "event": event, **fields}
    try:
        return orjson.dumps(line).decode()
    except TypeError:
        return _json_line(None, level, line)


def _now() -> str:
    """Format the time as ``TimeStamper`` does."""
    second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{_to_the_second(second)}.{nanoseconds // 1000:06d}Z"


@lru_cache(maxsize=1)
def _to_the_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:-6]


_JSON: Final[list[Processor]] = [_json_line]


def _console(*, colours: bool) -> list[Processor]:
    # Other formatters print local variables, and with them secrets.
    renderer = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    return [_known, _printable, renderer]


def _known(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """Leave out fields without a value: programs want the same fields in each line, people do not."""
    return {name: value for name, value in event.items() if value is not None}


def _printable(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """Escape control characters and lone surrogates: bytes of a sender must not control the operator's terminal."""
    for name, value in event.items():
        if isinstance(value, str) and name != "exception" and not value.isprintable():
            event[name] = value.encode("unicode_escape").decode()
    return event
