"""Whatever happens to the bytes of a segment, every record that is still whole is found, and none is made up."""

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ackfirst.shared.private_folder import make_private_folder
from ackfirst.shared.spool.frame import MAGIC, DamagedFrameError, Frame, unpack
from ackfirst.shared.spool.segment import Segment, segment_path

SALT = 0x5EED


@given(st.floats(allow_nan=False), st.binary(max_size=300), st.data())
def test_a_frame_is_read_as_it_was_written_or_not_at_all(at: float, text: bytes, data: st.DataObject) -> None:
    packed = Frame(at, text).pack(SALT)
    assert unpack(packed, SALT) == Frame(at, text)
    place = data.draw(st.integers(0, len(packed) - 1))
    flipped = packed[:place] + bytes([packed[place] ^ data.draw(st.integers(1, 255))]) + packed[place + 1 :]
    for damaged in (flipped, packed[:place], packed + b"x"):
        with pytest.raises(DamagedFrameError):
            unpack(damaged, SALT)


def frames_of(sizes: Sequence[int]) -> list[Frame]:
    """Texts that hold the magic, and whole frames of another segment: neither may be taken for a frame."""
    texts = [Random(number).randbytes(size) + MAGIC + b"x" * (number % 3) for number, size in enumerate(sizes)]
    return [Frame(float(number), text + Frame(0.0, b"forged").pack(1)) for number, text in enumerate(texts)]


def read(data: bytes, limit: int = 7) -> tuple[list[Frame], list[tuple[int, int]]]:
    """Frames, and places of damaged stretches, read a few at a time as the drain does."""
    with TemporaryDirectory() as folder:
        path = segment_path(Path(folder), 1, SALT)
        path.write_bytes(data)
        segment = Segment.open(path)
        frames, damaged = [], []
        while records := segment.read(segment.read_at, limit):
            frames += [record.frame for record in records if record.frame]
            damaged += [(record.at, record.at + record.size) for record in records if record.frame is None]
            segment.read_at = records[-1].at + records[-1].size
        segment.close()
    return frames, damaged


@settings(max_examples=60)
@given(st.lists(st.integers(0, 5000), max_size=20))
def test_every_record_of_a_whole_segment_is_found(sizes: list[int]) -> None:
    frames = frames_of(sizes)
    assert read(b"".join(frame.pack(SALT) for frame in frames)) == (frames, [])


def test_records_larger_than_one_read_are_found() -> None:
    frames = frames_of([100, 3 << 20, 100, (1 << 20) - 50, 2 << 20])
    assert read(b"".join(frame.pack(SALT) for frame in frames)) == (frames, [])


@settings(max_examples=200)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=12), st.integers(0), st.integers(1, 4096), st.integers(0, 3))
def test_damage_costs_only_the_records_that_it_touches(sizes: list[int], place: int, length: int, how: int) -> None:
    frames = frames_of(sizes)
    packed = [frame.pack(SALT) for frame in frames]
    whole = b"".join(packed)
    at = place % len(whole)
    end = min(len(whole), at + length)
    match how:
        case 0:  # overwritten
            damaged = whole[:at] + Random(place).randbytes(end - at) + whole[end:]
        case 1:  # zeroed
            damaged = whole[:at] + bytes(end - at) + whole[end:]
        case 2:  # cut out
            damaged = whole[:at] + whole[end:]
        case _:  # cut off
            damaged, end = whole[:at], len(whole)
    found, stretches = read(damaged)
    begin, kept = 0, []
    for frame, data in zip(frames, packed, strict=True):
        if begin + len(data) <= at or begin >= end:
            kept.append(frame)
        begin += len(data)
    assert [frame for frame in found if frame in kept] == kept
    assert set(found) <= set(frames)
    assert len(stretches) <= 1


def test_folders_are_made_for_their_owner_and_synced_with_their_ancestors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink()))
    make_private_folder(tmp_path / "a" / "b" / "c")
    assert synced[:4] == [tmp_path / "a" / "b" / "c", tmp_path / "a" / "b", tmp_path / "a", tmp_path]
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "a/b/c")] == [0o700] * 3
    (tmp_path / "open").mkdir(mode=0o755)
    make_private_folder(tmp_path / "open")
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o700
