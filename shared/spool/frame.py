"""A spooled envelope as bytes that speak for themselves: wherever they are found, they can be told to be whole."""

import struct
import zlib
from dataclasses import dataclass
from typing import Final

MAGIC: Final = b"\xacAF1"
HEADER: Final = struct.Struct(">4sIId")
"""Magic, CRC-32 of all that follows it, length of the text, Unix seconds at which it was spooled."""

_AFTER_CRC: Final = 8


class DamagedFrame(ValueError):  # noqa: N818 - a state of the bytes, not a mistake
    """These bytes are not, or are no longer, what was written."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One spooled envelope."""

    spooled_at: float
    """Unix seconds."""
    text: bytes
    """What ``Envelope.encode`` gave, in UTF-8."""

    def pack(self) -> bytes:
        """The bytes."""
        tail = HEADER.pack(MAGIC, 0, len(self.text), self.spooled_at)[_AFTER_CRC:] + self.text
        return MAGIC + zlib.crc32(tail).to_bytes(4) + tail


def unpack(data: bytes) -> Frame:
    """Read a frame.

    Raises:
        DamagedFrame: A byte of it is missing or not what it was.
    """
    if len(data) < HEADER.size:
        raise DamagedFrame("the record is cut off")
    magic, crc, length, spooled_at = HEADER.unpack_from(data)
    if magic != MAGIC or length != len(data) - HEADER.size or zlib.crc32(data[_AFTER_CRC:]) != crc:
        raise DamagedFrame("the record's checksum does not match")
    return Frame(spooled_at, data[HEADER.size :])
