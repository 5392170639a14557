"""The envelope keeps every byte, and refuses what is not one."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.errors import EnvelopeError
from ackfirst.shared.queue.envelope import VERSION, Envelope
from tests.support.factories import API_KEY, APPLICATION, make_envelope

GOLDEN = Path(__file__).parents[2] / "golden"
PLAIN = st.text(alphabet=st.characters(codec="utf-8"), max_size=50)


@given(body=st.binary(max_size=2000), query=PLAIN)
def test_any_body_survives_the_hop_byte_for_byte(body: bytes, query: str) -> None:
    envelope = make_envelope(body=body, query=query)
    assert Envelope.decode(envelope.encode()) == envelope


@given(
    texts=st.fixed_dictionaries(
        {name: st.none() | PLAIN for name in ("account", "application_id", "message_id", "jti", "trace")}
    ),
    numbers=st.fixed_dictionaries({name: st.none() | st.integers(-(2**53), 2**53) for name in ("iat", "secret")}),
    encoding=st.sampled_from(["json", "form", "query"]),
)
def test_every_field_survives_the_hop(texts: dict[str, str], numbers: dict[str, int], encoding: str) -> None:
    envelope = make_envelope(**texts, **numbers, encoding=encoding)
    assert Envelope.decode(envelope.encode()) == envelope


def test_a_body_that_is_text_stays_readable_in_the_queue() -> None:
    assert make_envelope(body=b'{"a":1}\n').encode().partition("\n")[2] == '{"a":1}\n'


def test_a_body_that_is_not_text_travels_as_base64() -> None:
    fields = json.loads(make_envelope(body=b"\xff\x00").encode())
    assert fields["body_b64"] == "/wA="
    assert "body" not in fields


def test_what_is_as_usual_takes_no_room_in_the_queue() -> None:
    head = json.loads(make_envelope(secret=0).encode().partition("\n")[0])
    assert head.keys() == {"v", "id", "account", "app", "message", "at"}


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("envelope-v*.json")), ids=lambda file: file.stem)
def test_every_envelope_that_a_release_ever_queued_can_still_be_read(file: Path) -> None:
    envelope = Envelope.decode(file.read_text())
    assert envelope.id == "m-0123456789abcdef0123456789abcdef"
    assert envelope.body == '{"channel":"sms","text":"Tea & cake = café?"}'.encode()
    assert (envelope.iat, envelope.jti, envelope.secret) == (1772615728, "0b9d6a52", 1)


@pytest.mark.parametrize(("version", "lane"), [(1, APPLICATION), (2, APPLICATION), (3, f"{API_KEY}.{APPLICATION}")])
def test_an_envelope_stays_in_the_lane_that_it_was_queued_in(version: int, lane: str) -> None:
    assert Envelope.decode((GOLDEN / f"envelope-v{version}.json").read_text()).lane == lane


def test_the_newest_version_has_a_golden_file() -> None:
    assert (GOLDEN / f"envelope-v{VERSION}.json").exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("[]", "version None"),
        ('{"v": 99}', "version 99"),
        ('{"v": "1"}', "version '1'"),
        ('{"v": 1}', "'id' is NoneType"),
        ('{"v": 2}', "'id' is NoneType"),
        ('{"v": 3}', "'id' is NoneType"),
        (make_envelope().encode().replace('"v":3', '"v":3,"encoding":"xml"'), "encoding 'xml'"),
        (make_envelope().encode().partition("\n")[0], "no body"),
        (make_envelope().encode() + "\udc80", "body is not text"),
        (make_envelope(received_at=1e300).encode(), "'received_at' is no time"),
        (make_envelope(received_at=-1.0).encode(), "'received_at' is no time"),
        (make_envelope(body=b"\xff").encode().replace("/w==", "!!"), "not base64"),
        (make_envelope().encode().replace('"v":3', '"v":3,"query":7'), "'query' is int"),
    ],
)
def test_what_is_not_an_envelope_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(EnvelopeError, match=complaint):
        Envelope.decode(text)


@given(st.text())
def test_decoding_any_text_raises_nothing_else(text: str) -> None:
    with pytest.raises(EnvelopeError):
        Envelope.decode(text)


@given(
    st.dictionaries(
        st.sampled_from([*Envelope.__slots__, "v", "body_b64", "app", "message", "at"]),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just([]),
    ),
    st.sampled_from([1, 2, 3]),
)
def test_decoding_any_object_raises_nothing_else(fields: dict[str, object], version: int) -> None:
    with contextlib.suppress(EnvelopeError):
        Envelope.decode(json.dumps({"v": version, **fields}))
