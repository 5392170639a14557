"""Whatever happens to the bytes of a spool file, every record that is still whole is found, and none is made up."""

import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ackfirst.shared.spool.file import SpoolFile, check, mend
from ackfirst.shared.spool.frame import DamagedFrame, Frame, unpack
from ackfirst.shared.spool.salvage import PAGE, is_log_broken, salvage

SIZES = st.lists(st.integers(0, 20_000), min_size=1, max_size=12)


def frames_of(sizes: Sequence[int]) -> list[Frame]:
    return [Frame(float(number), random.Random(number).randbytes(size)) for number, size in enumerate(sizes)]


def written(folder: Path, frames: Sequence[Frame], *, checkpoint: bool) -> tuple[bytes, bytes]:
    """The bytes of the database and of its log while a process holds it open."""
    path = folder / "spool-0.db"
    file = SpoolFile(path)
    for frame in frames:
        file.append([frame])
    if checkpoint:
        file._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    log = path.with_name(path.name + "-wal")
    found = path.read_bytes(), log.read_bytes()
    file.close()
    return found


@given(st.floats(allow_nan=False), st.binary(max_size=300), st.data())
def test_a_frame_is_read_as_it_was_written_or_not_at_all(at: float, text: bytes, data: st.DataObject) -> None:
    packed = Frame(at, text).pack()
    assert unpack(packed) == Frame(at, text)
    place = data.draw(st.integers(0, len(packed) - 1))
    flipped = packed[:place] + bytes([packed[place] ^ data.draw(st.integers(1, 255))]) + packed[place + 1 :]
    for damaged in (flipped, packed[:place], packed + b"x"):
        with pytest.raises(DamagedFrame):
            unpack(damaged)


@settings(max_examples=40)
@given(SIZES, st.booleans())
@example([4022, 4023, 4024, 4025, 4026, 4027, 4028, 4029, 4030, 4031, 4032, 4033, 4034, 4035], True)
@example([8100, 8180, 8190, 8192, 8193, 12_270, 12_280, 12_290], False)
def test_every_record_of_a_whole_file_is_found(sizes: list[int], checkpointed: bool) -> None:
    frames = frames_of(sizes)
    with TemporaryDirectory() as folder:
        assert salvage(*written(Path(folder), frames, checkpoint=checkpointed)) == frames


@settings(max_examples=40)
@given(SIZES, st.data())
def test_a_page_that_is_overwritten_costs_no_record_that_lies_elsewhere(sizes: list[int], data: st.DataObject) -> None:
    frames = frames_of(sizes)
    with TemporaryDirectory() as folder:
        database, log = written(Path(folder), frames, checkpoint=True)
    page = data.draw(st.integers(0, len(database) // PAGE - 1))
    junk = random.Random(page).randbytes(PAGE)
    damaged = database[: page * PAGE] + junk + database[(page + 1) * PAGE :]
    found = salvage(damaged, log)
    assert set(found) <= set(frames)
    lost = set(frames) - set(found)
    lying_there = [frame for frame in frames if touches(database, page, frame)]
    assert lost <= set(lying_there)


def touches(database: bytes, page: int, frame: Frame) -> bool:
    """Whether any part of the record lies in the page: every piece of 16 bytes of random text is unique."""
    image = database[page * PAGE : (page + 1) * PAGE]
    packed = frame.pack()
    return any(packed[at : at + 16] in image for at in range(max(1, len(packed) - 15)))


def test_a_log_that_is_damaged_in_the_middle_is_noticed_and_read_to_its_end(tmp_path: Path) -> None:
    frames = frames_of([700] * 30)
    database, log = written(tmp_path, frames, checkpoint=False)
    assert not is_log_broken(log)
    middle = len(log) // 2
    broken = log[:middle] + bytes(64) + log[middle + 64 :]
    assert is_log_broken(broken)
    found = salvage(database, broken)
    assert len(frames) - 5 <= len(found)
    assert set(found) <= set(frames)


def test_a_file_that_is_damaged_is_put_right_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "spool-0.db"
    frames = frames_of([700] * 100)
    file = SpoolFile(path)
    file.append(frames)
    file.close()
    assert check(path)
    with path.open("r+b") as raw:
        raw.seek(PAGE)
        raw.write(b"\xff" * PAGE)  # the root of the table: SQLite reads no record any more
    assert not check(path)
    records, kept = mend(path, now=1.0)
    assert records == 100
    assert kept.exists()
    assert check(path)
    mended = SpoolFile(path)
    assert [record.frame for record in mended.oldest(1000)] == frames
    mended.close()


def test_a_mending_that_was_killed_before_its_end_is_begun_anew_or_finished(tmp_path: Path) -> None:
    path, new = tmp_path / "spool-0.db", tmp_path / "spool-0.db.mended"
    for place, count in ((path, 3), (new, 2)):
        file = SpoolFile(place)
        file.append(frames_of([10] * count))
        file.close()
    assert check(path), "the old file is there: the new one may not be whole"
    assert not new.exists()
    path.rename(new)
    assert check(path), "the old file is gone: the new one is whole"
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM records").fetchone() == (3,)
    db.close()
