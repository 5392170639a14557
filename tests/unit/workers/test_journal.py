"""The journal of an engine: what is in it whenever it is cut off."""

import errno
import os
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.workers.engine.journal import ENOUGH, Journal, journals, read_notes
from ackfirst.workers.engine.taken import Taken
from ackfirst.workers.processing.marks import Mark, State

DONE = {"my.handler": Mark(State.DONE, 1)}
ENDED = b'x1 1 60\nmy.handler\n{"s":"done","n":1}'


def taken(job_id: str, execution: str = "x1") -> Taken:
    fields = {"data": b"", "timeout": 60.0, "result_ttl": 60, "has_killed": False, "marks": {}, "at": 0.0}
    return Taken(lane="l", job_id=job_id, execution_id=execution, **fields)


def journal_in(folder: Path) -> Journal:
    return Journal(folder / "journal" / "e", log=structlog.get_logger())


def file_of(journal: Journal) -> int:
    assert journal._file is not None
    return journal._file


def note(journal: Journal, *job_ids: str) -> None:
    for job_id in job_ids:
        journal.note(taken(job_id), DONE, is_over=True, keep=60)


def content(folder: Path) -> bytes:
    return (folder / "journal" / "e").read_bytes()


def test_what_is_noted_can_be_read_at_once(tmp_path: Path) -> None:
    with journal_in(tmp_path) as journal:
        note(journal, "a", "b")
        assert read_notes(content(tmp_path)) == {b"a": ENDED, b"b": ENDED}


def test_a_later_note_of_a_job_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    with journal_in(tmp_path) as journal:
        note(journal, "a")
        journal.note(taken("a", "x2"), DONE, is_over=False, keep=60)
        assert read_notes(content(tmp_path))[b"a"].startswith(b"x2 0 60\n")


def test_when_all_is_settled_nothing_is_left(tmp_path: Path) -> None:
    with journal_in(tmp_path) as journal:
        note(journal, "a", "b")
        journal.forget(["a"])
        assert read_notes(content(tmp_path)).keys() >= {b"b"}
        journal.forget(["b"])
        assert read_notes(content(tmp_path)) == {}
        note(journal, "c")
        assert read_notes(content(tmp_path)).keys() == {b"c"}


def test_an_engine_that_ends_in_order_leaves_no_file(tmp_path: Path) -> None:
    with journal_in(tmp_path) as journal:
        note(journal, "a")
        journal.forget(["a"])
    assert not list((tmp_path / "journal").iterdir())


def test_an_engine_that_ends_with_jobs_in_hand_leaves_its_notes(tmp_path: Path) -> None:
    with journal_in(tmp_path) as journal:
        note(journal, "a")
    assert read_notes(content(tmp_path)).keys() == {b"a"}


def test_the_file_stays_small_however_long_one_job_is_under_way(tmp_path: Path) -> None:
    with journal_in(tmp_path) as journal:
        note(journal, "slow")
        for number in range(20_000):
            note(journal, str(number))
            journal.forget([str(number)])
        assert len(content(tmp_path)) < 1.1 * ENOUGH
        assert b"slow" in read_notes(content(tmp_path))


@given(cut=st.integers(0, 200))
def test_a_note_that_was_being_written_does_not_count(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("j")
    with journal_in(folder) as journal:
        note(journal, "a", "b")
        found = read_notes(content(folder)[:cut])
        assert found.items() <= {b"a": ENDED, b"b": ENDED}.items()


@given(st.binary())
def test_any_content_can_be_read(data: bytes) -> None:
    read_notes(data)


def test_without_a_place_for_it_an_engine_works_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")
    with structlog.testing.capture_logs() as lines, journal_in(tmp_path) as journal:
        note(journal, "a", "b")
        journal.forget(["a", "b"])
    assert [line["event"] for line in lines] == ["journal.unavailable"]
    assert "ACKFIRST_DATA_DIR" in lines[0]["hint"]


def test_a_full_disk_ends_the_notes_and_not_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    with structlog.testing.capture_logs() as lines, journal_in(tmp_path) as journal:
        monkeypatch.setattr(os, "pwrite", full)
        note(journal, "a", "b")
        journal.forget(["a", "b"])
    assert [line["event"] for line in lines] == ["journal.unavailable"]


def test_a_short_write_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with structlog.testing.capture_logs() as lines, journal_in(tmp_path) as journal:
        monkeypatch.setattr(os, "pwrite", lambda *_: 1)
        note(journal, "a")
    assert [line["event"] for line in lines] == ["journal.unavailable"]


def test_code_that_closes_strange_files_ends_the_notes_and_not_the_job(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as lines, journal_in(tmp_path) as journal:
        os.close(file_of(journal))
        note(journal, "a", "b")
        journal.forget(["a", "b"])
    assert [line["event"] for line in lines] == ["journal.unavailable"]


def test_no_note_goes_into_a_file_that_has_got_the_number_of_the_journal(tmp_path: Path) -> None:
    theirs = tmp_path / "database"
    with structlog.testing.capture_logs(), journal_in(tmp_path) as journal:
        number = file_of(journal)
        os.close(number)
        opened = os.open(theirs, os.O_RDWR | os.O_CREAT)
        assert opened == number
        note(journal, "a")
        journal.forget(["a"])
    assert theirs.read_bytes() == b""
    os.close(opened)  # still open: it was never ours


def test_each_redis_has_journals_of_its_own_whatever_its_password(tmp_path: Path) -> None:
    one, other = journals(tmp_path, "redis://:a@one:6379/0"), journals(tmp_path, "redis://:a@two:6379/0")
    assert one != other
    assert one == journals(tmp_path, "redis://:another@one:6379/0")
