"""Find where the requests on a connection begin and end, and write their request lines as HTTP wants them."""

import re
from typing import Final

#: Bytes of a head that are looked through for its end; aiohttp refuses longer ones before.
HEAD_LIMIT_BYTES: Final = 512 * 1024

_HEAD_END: Final = b"\r\n\r\n"
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE).search
_OTHER_FRAMING: Final = re.compile(rb"\r\n(?:content-length|transfer-encoding)", re.IGNORECASE).search
_8_BIT: Final = re.compile(rb"[\x80-\xff]")
_LINE_ENDS: Final = b"\r\n"


class RequestFramer:
    """Cuts a connection's bytes into pieces of at most one request each, however the network has cut them before.

    aiohttp forgets a complete request when the bytes behind it, in the same segment, are no HTTP. And it refuses 8-bit
    characters in a request line, as in ``text=café``: these are percent-encoded, as a URL should have them.

    A body whose end is not plain, such as a chunked one, is left to aiohttp, until ``end_request``.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._is_line_open = True
        self._body_left = 0
        self._is_opaque = False

    def end_request(self) -> None:
        """Note that aiohttp has read a request to its end: what comes next begins another one."""
        if self._is_opaque:
            self._is_opaque = False
            self._begin()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the pieces of ``data``, in order; aiohttp feeds itself nothing to go on after a pause."""
        if not (self._head or self._body_left or self._is_opaque) and data.isascii():
            head_end = data.find(_HEAD_END) + len(_HEAD_END)
            if head_end >= len(_HEAD_END) and data[0] not in _LINE_ENDS:
                length = _body_length(data, head_end)
                if length is not None and head_end + length == len(data):  # nearly all are
                    return [data]
        pieces: list[bytes] = []
        while data:
            if self._is_opaque:
                size = len(data)
            elif self._body_left:
                size = min(self._body_left, len(data))
                self._body_left -= size
            else:
                data, size = self._take_head(data)
            pieces.append(data[:size])
            data = data[size:]
        return pieces or [data]

    def _take_head(self, data: bytes) -> tuple[bytes, int]:
        """Return ``data`` with its request line repaired, and how much of it belongs to this request."""
        if not self._head and (blank := len(data) - len(data.lstrip(_LINE_ENDS))):
            return data, blank
        if self._is_line_open:
            line_end = data.find(b"\n") + 1
            self._is_line_open = not line_end
            line = data[: line_end or len(data)]
            if not line.isascii():
                data = _8_BIT.sub(_percent_encoded, line) + data[len(line) :]
        before = len(self._head)
        self._head += data
        head_end = self._head.find(_HEAD_END, max(0, before - len(_HEAD_END) + 1)) + len(_HEAD_END)
        if head_end < len(_HEAD_END):
            self._is_opaque = len(self._head) > HEAD_LIMIT_BYTES
            return data, len(data)
        length = _body_length(self._head, head_end)
        self._begin()
        if length is None:
            self._is_opaque = True
            return data, len(data)
        size = min(head_end - before + length, len(data))
        self._body_left = head_end - before + length - size
        return data, size

    def _begin(self) -> None:
        self._head.clear()
        self._is_line_open = True


def _body_length(data: bytes | bytearray, head_end: int) -> int | None:
    """Return the length of the body behind a head; None where that is for aiohttp to find out, or to refuse."""
    if length := _CONTENT_LENGTH(data, 0, head_end):
        return int(length[1])
    return None if _OTHER_FRAMING(data, 0, head_end) else 0


def _percent_encoded(character: re.Match[bytes]) -> bytes:
    return b"%%%02X" % character[0][0]
