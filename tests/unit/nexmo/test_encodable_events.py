"""What a handler sees can be written anywhere: no field of any family holds what UTF-8 cannot."""

import json
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.event import Event, EventError, Price
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.reading import Encoding
from ackfirst.shared.queue.parse import parse
from tests.support.callbacks import callback, event_of
from tests.support.factories import make_envelope

HALF: Final = r"\ud83d"
MARK: Final = "\N{REPLACEMENT CHARACTER}"

#: A callback of each family in which every text and every name that can has half an emoji.
HOSTILE: Final = {
    Family.INBOUND_MESSAGE: '{"message_uuid":"x","channel":"x","from":"x","to":"x","message_type":"x","text":"x",'
    '"client_ref":"x","usage":{"price":"x","currency":"x"},"x":[{"x":"x"}],"contacts":[{"name":{"formatted_name":"x"}}]}',
    Family.MESSAGE_STATUS: '{"message_uuid":"x","status":"x","channel":"x","from":"x","to":"x","client_ref":"x",'
    '"error":{"title":"x","detail":"x","type":"x","instance":"x"},"usage":{"price":"x","currency":"x"},"x":{"x":["x"]}}',
    Family.INBOUND_SMS: '{"messageId":"x","msisdn":"x","to":"x","text":"x","type":"x",'
    '"price":"x","client-ref":"x","x":"x"}',
    Family.DELIVERY_RECEIPT: '{"messageId":"x","msisdn":"x","to":"x","status":"x","err-code":"x",'
    '"price":"x","x":["x"]}',
    Family.OTHER: '{"dispatch_uuid":"x","status":"x","from":{"type":"x","number":"x"},"_links":{"x":[{"x":"x"}]}}',
}


def texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for pair in value.items() for one in pair for text in texts(one)]
        case list():
            return [text for one in value for text in texts(one)]
        case EventError() | Price():
            return [text for name in type(value).__slots__ for text in texts(getattr(value, name))]
        case _:
            return []


def texts_of(event: Event) -> list[str]:
    return [text for name in Event.__slots__ for text in texts(getattr(event, name))]


@pytest.mark.parametrize("family", Family)
def test_every_text_of_every_family_can_be_written_and_raw_is_exact(family: Family) -> None:
    body = HOSTILE[family].replace('"x"', f'"x{HALF}"').encode()
    event = event_of(callback(body, content_type="application/json"))
    assert event.family == family
    found = texts_of(event)
    assert f"x{MARK}" in found
    "".join(found).encode()
    orjson.dumps(event.payload)
    assert event.raw == body
    assert json.loads(event.as_json())["raw"] == body.decode()


@given(
    family=st.sampled_from(Family),
    encoding=st.sampled_from(["json", "form", "query"]),
    noise=st.sampled_from([b"\xff", b"\xed\xa0\xbd", rb"\ud83d", rb"\udcff\ud83d", b"%ff", b"%ed%a0%bd"]),
)
def test_the_event_of_any_queued_envelope_can_be_written(family: Family, encoding: Encoding, noise: bytes) -> None:
    if encoding == "json":
        body = HOSTILE[family].encode().replace(b'"x"', b'"x' + noise + b'"')
    else:
        body = b"&".join(b"%b=x" % name.encode() + noise for name in ("messageId", "msisdn", "text", "status"))
    event = parse(make_envelope(family=str(family), encoding=encoding, body=body, query="text=%ff%ed%a0%bd"))
    "".join(texts_of(event)).encode()
    orjson.dumps(event.payload)
    assert event.raw == body


def test_each_half_is_one_mark_and_whole_emoji_stay() -> None:
    body = rb'{"message_uuid":"m","text":"a \ud83d b \ud83d\ude00 \ude00"}'
    assert event_of(callback(body)).text == f"a {MARK} b \U0001f600 {MARK}"
