"""Where an HTTP answer ends, however its bytes come; and what is no answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.simulator.wire import BadAnswer, Reader

#: Bytes, status, whether another request may follow.
WHOLE = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, True),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", 200, True),
    (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length:2\r\nConnection: close\r\n\r\n{}", 503, False),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, False),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\nok", 200, True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, True),
    (b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n", 302, True),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, True),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, True),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel\r\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
        200,
        True,
    ),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nDigest: abc\r\nX: y\r\n\r\n", 200, True),
    (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, True),
]


def read(pieces: list[bytes]) -> tuple[Reader, list[bool]]:
    reader = Reader()
    return reader, [reader.feed(piece) for piece in pieces]


@given(st.sampled_from(WHOLE), st.data())
def test_an_answer_ends_with_its_last_byte_however_it_is_split(
    case: tuple[bytes, int, bool], data: st.DataObject
) -> None:
    answer, status, keep_alive = case
    cuts = sorted(data.draw(st.sets(st.integers(1, len(answer) - 1), max_size=8)))
    pieces = [answer[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]

    reader, ends = read(pieces)

    assert ends == [False] * (len(pieces) - 1) + [True]
    assert (reader.status, reader.keep_alive) == (status, keep_alive)


@pytest.mark.parametrize("answer", [case[0] for case in WHOLE])
def test_a_connection_that_is_closed_too_early_gives_no_answer(answer: bytes) -> None:
    reader, _ = read([answer[:-1]])
    assert not reader.end()


def test_without_a_length_the_answer_ends_with_the_connection() -> None:
    reader, ends = read([b"HTTP/1.1 200 OK\r\n\r\n", b"some ", b"text"])
    assert ends == [False, False, False]
    assert reader.end()
    assert not reader.keep_alive


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"<html>",
        b"\x15\x03\x01\x00\x02\x02P",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2xx OK\r\n\r\n",
        b"HTTP/1.1 999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot hex\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5" * 5000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 70_000,
    ],
)
def test_what_is_no_answer_is_said_to_be_none(garbage: bytes) -> None:
    with pytest.raises(BadAnswer):
        Reader().feed(garbage)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_a_part_of_one_or_none(data: bytes) -> None:
    reader = Reader()
    try:
        reader.feed(data)
    except BadAnswer:
        return
    reader.end()


def test_more_than_was_announced_ends_the_connection() -> None:
    reader, ends = read([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK"])
    assert ends == [True]
    assert not reader.keep_alive
