"""Finds the status and the end of an HTTP/1 answer in a stream of bytes (RFC 9112), whatever a receiver sends. Pure."""

import re
from typing import Final

#: Bytes; what has no end of head by then is no answer.
MAX_HEAD: Final = 65_536

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: |\r|$)")
_WITHOUT_BODY: Final = frozenset({204, 304})
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")
_LONGEST_CHUNK_LINE: Final = 4096


class BadAnswer(Exception):  # noqa: N818 - what came, not a mistake of ours
    """What came is no HTTP answer; the message says why."""


class Reader:
    """Reads one answer; a new reader for the next. The body is passed over, never kept."""

    __slots__ = ("_body", "_buffer", "_left", "keep_alive", "status")

    def __init__(self) -> None:
        self.status = 0
        """0 until the head is there."""
        self.keep_alive = False
        """Whether another request may follow on the same connection."""
        self._buffer = b""
        self._left = 0
        """Bytes of the body, or of the chunk with its line end, that are still to come."""
        self._body = ""

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; True when the answer is whole.

        Raises:
            BadAnswer: It is none.
        """
        if self.status:
            return self._feed_body(data)
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            self._check_beginning()
            return False
        self._buffer = b""
        if self._read_head(head):
            return self._feed_body(rest)
        return self.feed(rest)

    def end(self) -> bool:
        """The connection was closed; True when that ends a whole answer."""
        return self.status > 0 and self._body == "until-close"

    def _check_beginning(self) -> None:
        wanted = b"HTTP/1."
        if not self._buffer.startswith(wanted[: len(self._buffer)]) or len(self._buffer) > MAX_HEAD:
            raise BadAnswer("what came is no HTTP answer")

    def _read_head(self, head: bytes) -> bool:
        """False for an interim answer (1xx), which another head follows."""
        line = _STATUS_LINE.match(head)
        if line is None or len(head) > MAX_HEAD:
            raise BadAnswer("what came is no HTTP answer")
        status = int(line[2])
        if status < 200:  # noqa: PLR2004 - interim answers
            return False
        self.status = status
        fields = head.lower() + b"\r\n"
        connection = _field(fields, b"connection")
        self.keep_alive = b"close" not in connection if line[1] == b"1" else b"keep-alive" in connection
        self._frame(fields)
        return True

    def _frame(self, fields: bytes) -> None:
        coding, length = _field(fields, b"transfer-encoding"), _field(fields, b"content-length")
        if self.status in _WITHOUT_BODY:
            self._body = "counted"
        elif coding:
            self._body = "chunked" if coding.endswith(b"chunked") else "until-close"
        elif length:
            if not length.isdigit():
                raise BadAnswer("the answer's Content-Length is no number")
            self._body, self._left = "counted", int(length)
        else:
            self._body = "until-close"
        if self._body == "until-close":
            self.keep_alive = False

    def _feed_body(self, data: bytes) -> bool:
        if self._body == "counted":
            self._left -= len(data)
            if self._left < 0:
                self.keep_alive = False  # more than was announced: nothing that follows could be believed
            return self._left <= 0
        return self._body == "chunked" and self._feed_chunks(data)

    def _feed_chunks(self, data: bytes) -> bool:
        data = self._buffer + data
        self._buffer = b""
        while True:
            skipped = min(self._left, len(data))
            data, self._left = data[skipped:], self._left - skipped
            if self._left:
                return False
            line, separator, rest = data.partition(b"\r\n")
            if not separator:
                if len(line) > _LONGEST_CHUNK_LINE:
                    raise BadAnswer("a chunk of the answer has no size")
                self._buffer = data
                return False
            size = _HEX.match(line)
            if size is None:
                raise BadAnswer("a chunk of the answer has no size")
            if int(size[0], 16) == 0:
                return self._feed_trailer(data, rest)
            data, self._left = rest, int(size[0], 16) + len(b"\r\n")

    def _feed_trailer(self, data: bytes, rest: bytes) -> bool:
        """After the last chunk come fields, mostly none, and an empty line."""
        if rest.startswith(b"\r\n") or b"\r\n\r\n" in rest:
            return True
        if len(rest) > MAX_HEAD:
            raise BadAnswer("the answer's trailer has no end")
        self._buffer = data
        return False


def _field(fields: bytes, name: bytes) -> bytes:
    """The value of the first field of that name in a lower-case head; empty without one."""
    at = fields.find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    begin = at + len(name) + 3
    return fields[begin : fields.index(b"\r\n", begin)].strip()
