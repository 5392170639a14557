"""Carry a handler's end from a child process to the engine: as JSON, for nothing of a child's is to be trusted."""

import traceback
from typing import Any, Final

import orjson

from ackfirst.workers.handlers.verdicts import Discard, HandlerTimeout, RetryLater
from ackfirst.workers.processing.outcome import returned_text, text_of
from ackfirst.workers.replies import printable

#: Characters of a message and of a traceback.
LONGEST_MESSAGE: Final = 2_000
LONGEST_TRACEBACK: Final = 20_000


class HandlerDied(Exception):  # noqa: N818 - what happened, read as a sentence
    """The process that ran the handler ended without an answer."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"the handler's process ended: {cause}")
        self.cause = cause


class IsolatedError(Exception):
    """An exception of a handler in a child; its class has the name of the original's."""


class _ChildTraceback(Exception):  # noqa: N818 - shown above the error as its cause
    """The traceback in the child."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def pack(error: BaseException | None, returned: object = None) -> bytes:
    """Write the end as one JSON object; never empty, never an exception."""
    match error:
        case None:
            fields: dict[str, Any] = {"end": "done", "returned": returned_text(returned)}
        case Discard():
            fields = {"end": "discard", "reason": _words(error.reason)}
        case RetryLater():
            fields = {"end": "later", "reason": _words(error.reason), "seconds": error.seconds}
        case HandlerTimeout():
            fields = {"end": "timeout", "seconds": error.seconds}
        case _:
            text = "".join(traceback.format_exception(error))
            fields = {
                "end": "error",
                "name": type(error).__name__,
                "message": _words(text_of(error)),
                "traceback": printable(text[-LONGEST_TRACEBACK:]),
            }
    return orjson.dumps(fields)


def unpack(answer: bytes) -> tuple[BaseException | None, object]:
    """Read the error, None for success, and what the handler returned. An answer that is none is a death."""
    try:
        fields = orjson.loads(answer)
        return _error(fields), fields.get("returned")
    except (ValueError, KeyError, TypeError, AttributeError):
        return HandlerDied("in the middle of its answer"), None


def _error(fields: dict[str, Any]) -> BaseException | None:
    match fields["end"]:
        case "done":
            return None
        case "discard":
            return Discard(fields["reason"])
        case "later":
            return RetryLater(fields["seconds"], fields["reason"])
        case "timeout":
            return HandlerTimeout(fields["seconds"])
        case _:
            error: BaseException = type(str(fields["name"]), (IsolatedError,), {})(fields["message"])
            error.__cause__ = _ChildTraceback(fields["traceback"])
            return error


def _words(text: Any) -> str:
    return printable(str(text))[:LONGEST_MESSAGE]
