"""Pack a spooled envelope into bytes that carry their own checksum, and find whole frames in damaged bytes."""

import struct
import zlib
from dataclasses import dataclass
from typing import Final, NamedTuple

MAGIC: Final = b"\xacAF1"
HEADER: Final = struct.Struct(">4sIId")
"""Magic, CRC-32 of all that follows it, length of the text in bytes, Unix seconds at which it was spooled."""

_CRC_ENDS: Final = 8


class DamagedFrameError(ValueError):
    """These bytes are not, or are no longer, what was written."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One spooled envelope."""

    spooled_at: float
    """Unix seconds."""
    text: bytes
    """What ``Envelope.encode`` gave, in UTF-8."""

    def pack(self, salt: int = 0) -> bytes:
        """Return the frame's bytes.

        Args:
            salt: Where the checksum starts. Each segment has its own random one: a message whose text holds the bytes
                of a forged frame, or a disk block that still holds an older segment, is never read as a frame.
        """
        tail = HEADER.pack(MAGIC, 0, len(self.text), self.spooled_at)[_CRC_ENDS:] + self.text
        return MAGIC + zlib.crc32(tail, salt).to_bytes(4) + tail


class Record(NamedTuple):
    """A piece of a segment: a whole frame, or a stretch of bytes that holds none (``frame`` is None)."""

    at: int
    """Where it begins in its segment, in bytes."""
    size: int
    frame: Frame | None


def unpack(data: bytes, salt: int = 0) -> Frame:
    """Read a frame.

    Raises:
        DamagedFrameError: A byte of it is missing or changed.
    """
    found = _frame_at(data, 0, salt)
    if found is None or HEADER.size + len(found.text) != len(data):
        raise DamagedFrameError("the record is cut off or its checksum does not match")
    return found


def first_record(data: bytes, at: int, salt: int) -> Record | None:
    """Read the record that begins at ``at``; a damaged stretch ends where the next whole frame begins.

    None when ``data`` ends before the record does, so that more of the file must be read.
    """
    frame = _frame_at(data, at, salt)
    if frame is not None:
        return Record(at, HEADER.size + len(frame.text), frame)
    after = data.find(MAGIC, at + 1)
    while after >= 0:
        if _frame_at(data, after, salt) is not None:
            return Record(at, after - at, None)
        after = data.find(MAGIC, after + 1)
    return None


def _frame_at(data: bytes, at: int, salt: int) -> Frame | None:
    if len(data) - at < HEADER.size:
        return None
    magic, crc, length, spooled_at = HEADER.unpack_from(data, at)
    end = at + HEADER.size + length
    if magic != MAGIC or end > len(data) or zlib.crc32(memoryview(data)[at + _CRC_ENDS : end], salt) != crc:
        return None
    return Frame(spooled_at, data[at + HEADER.size : end])
