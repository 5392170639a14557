"""What RQ is given to show of a failed event: whatever a handler raises, it can be shown and stored."""

import traceback

import pytest

from ackfirst.workers.processing.marks import Mark, State
from ackfirst.workers.processing.report import LEFT_OUT, LONGEST, HandlersFailed, Report


def _failure(error: BaseException) -> HandlersFailed:
    with pytest.raises(type(error)) as raised:
        _handler(error)
    return Report(marks={"my.handler": Mark(State.DEAD, 1)}, errors={"my.handler": raised.value}).failure()


def _handler(error: BaseException) -> None:
    raise error


class _SilentError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def test_a_handler_that_died_in_an_earlier_pass_was_left_out_only_by_a_replay() -> None:
    marks = {"a.b": Mark(State.DEAD, 1), "c.d": Mark(State.DONE, 2)}
    assert str(Report(marks=marks, errors={}).failure()) == "not finished: a.b"
    assert str(Report(marks=marks, errors={}).failure("")) == f"a.b: {LEFT_OUT}"


def test_an_ordinary_error_is_the_cause_itself() -> None:
    error = KeyError("missing")
    failure = _failure(error)
    assert str(failure) == "my.handler: KeyError: 'missing'"
    assert failure.__cause__ is error


@pytest.mark.parametrize("error", [ValueError("half \ud83d"), ExceptionGroup("of", [ValueError("half \ud83d")])])
def test_a_text_that_utf_8_cannot_hold_is_escaped_wherever_it_stands(error: Exception) -> None:
    shown = "".join(traceback.format_exception(_failure(error)))
    assert r"half \ud83d" in shown.encode().decode()
    assert "in _handler" in shown, "the handler's own frame is in the traceback"


def test_an_error_that_cannot_say_what_it_is_keeps_its_name() -> None:
    assert str(_failure(_SilentError())) == "my.handler: _SilentError: <no text>"


def test_a_very_long_error_does_not_make_a_very_long_message() -> None:
    assert len(str(_failure(ValueError("x" * 1_000_000)))) < LONGEST + 50
