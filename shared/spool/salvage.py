"""Finds every whole frame in a damaged SQLite file, without asking SQLite: by the frames' own marks.

Layout facts: https://www.sqlite.org/fileformat2.html, sections 1.6 (b-tree pages: how much of a payload is local, and
the chain of overflow pages after it) and 4 (the write-ahead log). A record of our table is a header (its own size, NULL
for the row id, the blob's type), then the frame.
"""

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from ackfirst.shared.spool.frame import HEADER, MAGIC, DamagedFrame, Frame, unpack

PAGE: Final = 4096
"""The page size of every spool file, in bytes."""

_MOST_LOCAL: Final = PAGE - 35
_LEAST_LOCAL: Final = (PAGE - 12) * 32 // 255 - 23
_LINK: Final = 4
_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_BIG_ENDIAN: Final = 0x377F0683
_MASK: Final = 0xFFFFFFFF


def salvage(database: bytes, log: bytes) -> list[Frame]:
    """Every frame that is whole, each once, oldest first. Some may have been removed before; never one made up.

    Args:
        database: The database file.
        log: The write-ahead log that lies beside it; may be empty.
    """
    pages = {number + 1: database[at : at + PAGE] for number, at in enumerate(range(0, len(database), PAGE))}
    logged = list(_logged_pages(log))
    newest = {**pages, **dict(logged)}
    found = {
        frame
        for image in (*pages.values(), *(image for _, image in logged))
        for chains in (newest, pages)
        for frame in _frames(image, chains)
    }
    return sorted(found, key=lambda frame: frame.spooled_at)


def is_log_broken(log: bytes) -> bool:
    """Whether the log holds something after the place at which SQLite would stop to read it, without a word."""
    good = _good_frames(log)
    return sum(1 for _ in _logged_pages(log)) > good


def _frames(page: bytes, chains: Mapping[int, bytes]) -> Iterator[Frame]:
    at = page.find(MAGIC)
    while at >= 0:
        with suppress(DamagedFrame, struct.error):
            yield unpack(_read(page, at, chains))
        at = page.find(MAGIC, at + 1)


def _read(page: bytes, at: int, chains: Mapping[int, bytes]) -> bytes:
    """The bytes of the frame that begins at ``at``, put together from its page and the chain behind it."""
    size = HEADER.size + HEADER.unpack_from(page, at)[2]
    before = 2 + _varint_size(2 * size + 12)
    here = _local(before + size) - before
    data = [page[at : at + min(here, size)]]
    (link,) = struct.unpack_from(">I", page, at + here) if here < size else (0,)
    missing = size - here
    while missing > 0 and link in chains:
        image = chains[link]
        data.append(image[_LINK : _LINK + missing])
        missing -= PAGE - _LINK
        (link,) = struct.unpack_from(">I", image)
    return b"".join(data)


def _local(payload: int) -> int:
    """How many bytes of a payload lie in the b-tree page itself."""
    if payload <= _MOST_LOCAL:
        return payload
    local = _LEAST_LOCAL + (payload - _LEAST_LOCAL) % (PAGE - _LINK)
    return local if local <= _MOST_LOCAL else _LEAST_LOCAL


def _varint_size(value: int) -> int:
    return max(1, (value.bit_length() + 6) // 7)


def _logged_pages(log: bytes) -> Iterator[tuple[int, bytes]]:
    """Page number and image of all that was logged since the log was last begun anew."""
    salts = log[16:24]
    for at in range(_WAL_HEADER, len(log) - _FRAME_HEADER - PAGE + 1, _FRAME_HEADER + PAGE):
        if log[at + 8 : at + 16] == salts:
            yield int.from_bytes(log[at : at + 4]), log[at + _FRAME_HEADER : at + _FRAME_HEADER + PAGE]


def _good_frames(log: bytes) -> int:
    """How many frames SQLite would accept: each checksum goes on from the one before."""
    if len(log) < _WAL_HEADER:
        return 0
    order = ">" if int.from_bytes(log[:4]) == _BIG_ENDIAN else "<"
    sums = _checksum(log[:24], order, (0, 0))
    if sums != struct.unpack_from(">II", log, 24):
        return 0
    good = 0
    for at in range(_WAL_HEADER, len(log) - _FRAME_HEADER - PAGE + 1, _FRAME_HEADER + PAGE):
        sums = _checksum(log[at : at + 8] + log[at + _FRAME_HEADER : at + _FRAME_HEADER + PAGE], order, sums)
        if log[at + 8 : at + 16] != log[16:24] or sums != struct.unpack_from(">II", log, at + 16):
            break
        good += 1
    return good


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
