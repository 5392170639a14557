"""Values for tests: everything has a default, a test names only what it is about."""

import json
import secrets
from typing import Any

from ackfirst.shared.queue.envelope import Envelope

API_KEY = "k7m2p9qa"
APPLICATION = "c4a1e7d0-52b3-4f6f-a9d8-3e0b7c612f45"
LANE = f"{API_KEY}.{APPLICATION}"
SECRET = "orchid-Lantern-42-visible-harbour"
NOW = 1_772_615_728.0


def inbound_message(**fields: Any) -> dict[str, Any]:
    """A Messages v1 inbound SMS."""
    return {
        "channel": "sms",
        "message_uuid": "6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913",
        "to": "12015550142",
        "from": "447700900417",
        "timestamp": "2026-03-04T09:15:27Z",
        "text": "Moor at berth 7?",
        **fields,
    }


def make_envelope(*, payload: dict[str, Any] | None = None, **overrides: Any) -> Envelope:
    """A verified inbound message; a fresh id each time unless one is given."""
    body = json.dumps(payload if payload is not None else inbound_message()).encode()
    values: dict[str, Any] = {
        "id": f"m-{secrets.token_hex(16)}",
        "family": "inbound-message",
        "account": API_KEY,
        "application_id": APPLICATION,
        "lane": LANE,
        "message_id": "6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913",
        "received_at": NOW,
        "encoding": "json",
        "content_type": "application/json",
        "body": body,
        "query": "",
    }
    return Envelope(**{**values, **overrides})
