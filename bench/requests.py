"""Signed callbacks as bytes on the wire, made before the clock starts."""

import json
import time
import uuid
from collections.abc import Iterator

from ackfirst.shared.accounts import default_lane
from ackfirst.shared.nexmo.token import sign_token

API_KEY = "k7m2p9qa"
SECRET = "bench-" + "x" * 32
BODY_SIZE = 700

#: Application of the callbacks.
APPLICATION = "bench"

#: Lane of their events.
LANE = default_lane(API_KEY, APPLICATION)


def callback_bodies(count: int, *, size: int = BODY_SIZE) -> Iterator[bytes]:
    """``count`` different inbound WhatsApp messages of ``size`` bytes."""
    for number in range(count):
        message = {
            "channel": "whatsapp",
            "message_uuid": str(uuid.uuid4()),
            "to": "12015550142",
            "from": f"4477009{number % 100000:05d}",
            "timestamp": "2026-03-04T09:15:27Z",
            "profile": {"name": "Ilse Brandt"},
            "context_status": "none",
            "message_type": "text",
            "text": "",
        }
        message["text"] = "m" * (size - len(json.dumps(message, separators=(",", ":"))))
        yield json.dumps(message, separators=(",", ":")).encode()


def signed_requests(count: int, *, application: str = APPLICATION, size: int = BODY_SIZE) -> list[bytes]:
    """``count`` whole HTTP requests."""
    return [_request(body, application) for body in callback_bodies(count, size=size)]


def token(body: bytes, application: str) -> str:
    """A token for ``body``."""
    return sign_token(
        secret=SECRET.encode(),
        body=body,
        api_key=API_KEY,
        application_id=application,
        iat=int(time.time()),
        jti=str(uuid.uuid4()),
    )


def _request(body: bytes, application: str) -> bytes:
    head = (
        "POST /webhooks/inbound-message HTTP/1.1\r\n"
        "Host: hooks.example.com\r\n"
        f"Authorization: Bearer {token(body, application)}\r\n"
        "Content-Type: application/json\r\n"
        "User-Agent: Vonage/MessagingHUB/v1.0\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
