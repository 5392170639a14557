"""Rows of the record with usual values, of which a test names only those that it is about."""

import hashlib
from typing import Any

from ackfirst.shared.store import Arrival, Attempt, Batch, Ending

#: 2026-01-15 12:00 UTC.
NOON = 1_768_478_400.0
HANDLER = "myapp.callbacks.on_status"


def event_id(name: object) -> str:
    return f"s-{hashlib.sha256(str(name).encode()).hexdigest()[:32]}"


def arrival(name: object, received: float = NOON, **fields: Any) -> Arrival:
    usual: dict[str, Any] = {
        "account": "abcd1234",
        "application_id": "aaaaaaaa-bbbb-4ccc-8ddd-000000000001",
        "lane": "sales",
        "family": "message-status",
        "channel": "whatsapp",
        "message_id": f"uuid-{name}",
        "client_ref": None,
        "status": "delivered",
        "sender": "447700900001",
        "recipient": "447700900417",
        "occurred_at": received - 0.3,
        "encoding": "json",
        "content_type": "application/json",
        "body": b'{"status": "delivered"}',
        "query": "",
        "trace": None,
    }
    return Arrival(event_id=event_id(name), received_at=received, **{**usual, **fields})


def attempt(name: object, received: float = NOON, ending: str = "done", **fields: Any) -> Attempt:
    failed = {"error_type": "ValueError", "message": "no such customer"} if ending in ("retry", "dead") else {}
    usual: dict[str, Any] = {
        "handler": HANDLER,
        "number": 1,
        "worker": "host.7.0",
        "started": received + 0.1,
        "seconds": 0.02,
        **failed,
    }
    return Attempt(event_id=event_id(name), received_at=received, ending=ending, **{**usual, **fields})


def ended(name: object, received: float = NOON, state: str = "processed", **fields: Any) -> Ending:
    usual: dict[str, Any] = {"lane": "sales", "at": received + 0.2, "attempts": 1, "reason": None}
    return Ending(event_id=event_id(name), received_at=received, state=state, **{**usual, **fields})


def handled(name: object, received: float = NOON, how: str = "done", **fields: Any) -> dict[str, Any]:
    """The parts of a batch with one event that a handler has finished or failed."""
    state = {"done": "processed", "dead": "dead", "retry": "retrying", "discarded": "discarded"}[how]
    return {
        "arrivals": [arrival(name, received, **fields)],
        "attempts": [attempt(name, received, how)],
        "endings": [ended(name, received, state)],
    }


def batch(position: int, *parts: dict[str, Any], **rows: Any) -> Batch:
    """A batch with all rows of its parts."""
    names = ("arrivals", "attempts", "endings", "requests")
    merged = {name: [row for part in (*parts, rows) for row in part.get(name, ())] for name in names}
    return Batch(position=f"{position}-0", after=rows.get("after"), **merged)
