"""A record in a file of its own, and rows for it, as the recorder writes them."""

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.store import Arrival, Attempt, Batch, Ending, Request, Store, open_store
from ackfirst.shared.store.arrival import arrival_of

_numbers = itertools.count(1)


def new_store(folder: Path) -> Store:
    """An empty record, in the file that is the default of the data folder."""
    return open_store(f"sqlite:///{folder / 'record.db'}", migrate=True)


def attempt(envelope: Envelope, ending: str = "done", **fields: Any) -> Attempt:
    """The first attempt of a handler with an event, a second after its arrival."""
    values: dict[str, Any] = {
        "event_id": envelope.id,
        "received_at": received_at(envelope),
        "handler": "receipts.save",
        "number": 1,
        "worker": "w1",
        "started": envelope.received_at + 1,
        "seconds": 0.25,
        "ending": ending,
    }
    return Attempt(**{**values, **fields})


def ending(envelope: Envelope, state: str = "processed", **fields: Any) -> Ending:
    """The end of an event, two seconds after its arrival."""
    values: dict[str, Any] = {
        "event_id": envelope.id,
        "received_at": received_at(envelope),
        "lane": envelope.lane,
        "state": state,
        "at": envelope.received_at + 2,
        "attempts": 1,
    }
    return Ending(**{**values, **fields})


def received_at(envelope: Envelope) -> float:
    """The time of an event in the record: with the digits that its arrival has."""
    return arrival_of(envelope).received_at


def write(
    store: Store,
    *envelopes: Envelope,
    attempts: Sequence[Attempt] = (),
    endings: Sequence[Ending] = (),
    requests: Sequence[Request] = (),
    position: str | None = None,
) -> None:
    """Write events and what became of them as one batch."""
    arrivals: list[Arrival] = [arrival_of(envelope) for envelope in envelopes]
    store.write(
        Batch(
            position=position or f"{int(time.time() * 1000)}-{next(_numbers)}",
            arrivals=arrivals,
            attempts=attempts,
            endings=endings,
            requests=requests,
        )
    )


def newest_position(client: redis.Redis) -> str:
    """The id of the newest entry of the stream: where a recorder that is up to date stands."""
    rows: Any = client.xrevrange(keys.RECORD, count=1)
    return rows[0][0].decode() if rows else "0-0"
