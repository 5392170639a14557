"""Spools as a dead process leaves them, and what a test reads of a folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ackfirst.ingest.spool.segment_log import SegmentLog
from ackfirst.shared.private_folder import make_private_folder
from ackfirst.shared.spool.folder import Slot, spool_folder
from ackfirst.shared.spool.frame import Frame
from ackfirst.shared.spool.segment import Segment, look, segment_paths
from tests.support.ingest import RecordingLog


@contextmanager
def segment_log(folder: Path, *, max_bytes: int = 1 << 30, log: RecordingLog | None = None) -> Iterator[SegmentLog]:
    """The segments of a slot that this process holds meanwhile."""
    make_private_folder(folder)
    slot = Slot(folder)
    assert slot.take()
    segments = SegmentLog(slot, max_bytes=max_bytes, log=log or RecordingLog())
    while segments.count_next():
        pass
    try:
        yield segments
    finally:
        segments.close()
        slot.release()


def left_behind(data_dir: Path, frames: Sequence[Frame], slot: str = "spool-0") -> Path:
    """Write a segment as a dead process leaves it; where it is."""
    folder = spool_folder(data_dir) / slot
    with segment_log(folder) as segments:
        segments.append(frames)
    return segment_paths(folder)[-1]


def spooled_records(data_dir: Path) -> int:
    """How many events wait in all slots."""
    return sum(look(folder).depth.records for folder in spool_folder(data_dir).glob("spool-*/"))


def all_frames(folder: Path) -> list[Frame]:
    """Every whole frame of a slot, in order."""
    frames = []
    for path in segment_paths(folder):
        try:
            segment = Segment.open(path)
        except FileNotFoundError:  # drained and deleted since the folder was listed
            continue
        frames += [record.frame for record in segment.scan() if record.frame]
        segment.close()
    return frames
