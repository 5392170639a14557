"""The embedded server's log file."""

from pathlib import Path

from ackfirst.shared.embedded.output import LIMIT_BYTES, Output


def test_the_last_message_is_given_without_its_time(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("12:M 04 Mar 2026 09:15:27.001 * fine\n12:M 04 Mar 2026 09:15:27.002 # Bad file format\n\n")

    assert Output(log).last_line() == "Bad file format"


def test_a_line_that_is_no_log_message_is_given_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_bytes(b"*** FATAL CONFIG FILE ERROR ***\n>>> 'dir \xff'\nBad directive or wrong number of arguments\n")

    assert Output(log).last_line() == "Bad directive or wrong number of arguments"


def test_silence_has_words(tmp_path: Path) -> None:
    assert Output(tmp_path / "server.log").last_line() == "it printed nothing"


def test_the_file_is_continued_until_it_is_large_and_then_kept_once(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    for text in (b"one\n", b"two\n", b"x" * LIMIT_BYTES, b"new\n"):
        with Output(log).open() as file:
            file.write(text)

    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "server.log.1").read_bytes().startswith(b"one\ntwo\n")
