"""Callbacks without signatures, for the pure code that reads them, and Hypothesis strategies for hostile ones."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from hypothesis import strategies as st

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.classify import classify
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.nexmo.normalise import normalise
from ackfirst.shared.nexmo.reading import read
from tests.support.factories import API_KEY, APPLICATION, NOW

FORM = "application/x-www-form-urlencoded"


def callback(body: bytes = b"", *, method: str = "POST", content_type: str = "", query: str = "") -> Callback:
    """A request with nothing but what the test names."""
    return Callback(method, "/webhooks/any", query, content_type, "", body, NOW)


def json_callback(payload: Any) -> Callback:
    """POST with a JSON body."""
    return callback(json.dumps(payload).encode(), content_type="application/json")


def form_callback(parameters: Mapping[str, str]) -> Callback:
    """POST with a form body, as the SMS API sends it."""
    return callback(urlencode(parameters).encode(), content_type=f"{FORM}; charset=UTF-8")


def get_callback(parameters: Mapping[str, str]) -> Callback:
    """GET with a query."""
    return callback(method="GET", query=urlencode(parameters))


def event_of(request: Callback) -> Event:
    """The event that the whole chain (read, classify, identify, normalise) makes of a readable request."""
    reading = read(request)
    assert reading is not None
    family = classify(reading)
    raw = request.body or request.query.encode("utf-8", "surrogateescape")
    return normalise(
        id=event_id(family, API_KEY, reading.fields, raw),
        family=family,
        reading=reading,
        account=API_KEY,
        application_id=APPLICATION,
        received_at=request.received_at,
        raw=raw,
    )


# Text that includes lone surrogates: JSON can spell them, and undecodable bytes become them.
any_text = st.text(st.characters() | st.sampled_from("\ud83d\ude00\udce9\udfff"), max_size=20)

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(any_text, children, max_size=4),
    max_leaves=12,
)

# Names that our code looks at, so that the odd values land where they matter.
KNOWN_NAMES = (
    "message_uuid", "messageId", "msisdn", "status", "to", "from", "number", "id", "type", "channel", "message",
    "content", "message_type", "text", "image", "caption", "button", "reply", "location", "contacts", "name", "order",
    "reaction", "timestamp", "message-timestamp", "scts", "err-code", "error", "title", "code", "detail", "reason",
    "usage", "price", "currency", "client_ref", "client-ref", "data", "sig", "api-key",
)  # fmt: skip

hostile_values = st.recursive(
    st.sampled_from(["", "null", "0", "delivered", "2026-03-04T09:15:27Z", "9" * 400, "1e999", "text"])
    | st.just(10**4000)
    | any_json,
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(KNOWN_NAMES), children, max_size=4)
    ),
    max_leaves=12,
)
hostile_fields = st.dictionaries(st.sampled_from(KNOWN_NAMES) | any_text, hostile_values, max_size=10)
