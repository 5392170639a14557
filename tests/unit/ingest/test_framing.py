"""Where requests begin and end, whatever pieces they come in."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.ingest.framing import RequestFramer

GET = b"GET /webhooks/inbound-sms?text=caf\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n"
MENDED = GET.replace(b"\xc3\xa9", b"%C3%A9")
POST = b"POST /webhooks/inbound-message HTTP/1.1\r\nContent-Length: 8\r\n\r\n\xc3\xa9\r\n\r\nGE"
BARE = b"POST /webhooks/inbound-message HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\xc3\xa9\r\n0\r\n\r\n"

requests = st.lists(st.sampled_from([(GET, MENDED), (POST, POST), (BARE, BARE), (b"\r\n" + GET, b"\r\n" + MENDED)]))


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(cuts), len(stream)]
    framer = RequestFramer()
    return [piece for start, end in pairwise(bounds) for piece in framer.feed(stream[start:end])]


@given(requests, st.data())
def test_request_lines_are_mended_and_everything_else_is_left(
    sent: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(one for one, _ in sent)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    assert b"".join(pieces(stream, cuts)) == b"".join(one for _, one in sent)


@given(st.sampled_from([GET, POST, BARE]), st.binary(min_size=1), st.data())
def test_no_piece_holds_the_end_of_a_request_and_what_comes_behind_it(
    request: bytes, stray: bytes, data: st.DataObject
) -> None:
    stream = request + stray
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=4))
    sizes = [len(piece) for piece in pieces(stream, cuts)]
    whole = MENDED if request is GET else request
    assert len(whole) in [sum(sizes[:count]) for count in range(len(sizes) + 1)]


def test_a_chunked_body_is_left_alone_until_its_request_has_ended() -> None:
    framer = RequestFramer()
    assert framer.feed(CHUNKED) == [CHUNKED]
    assert framer.feed(GET) == [GET]
    framer.end_request()
    assert framer.feed(GET) == [MENDED]


def test_nothing_is_passed_on_as_nothing() -> None:
    """aiohttp feeds itself nothing to go on after a pause; without it a body of 48 kB was never read to its end."""
    assert RequestFramer().feed(b"") == [b""]
