"""The record: what happened to every event, in SQLite or PostgreSQL. ``open_store`` gives a ``Store``."""

from ackfirst.shared.errors import StoreUnavailableError
from ackfirst.shared.store.recording import StaleBatchError
from ackfirst.shared.store.results import DeadGroup, HandlerStats, LastCallback, Redacted, ReplayDay, Stats, StatsPoint
from ackfirst.shared.store.rows import (
    FINAL_STATES,
    Arrival,
    Attempt,
    AuditRow,
    Batch,
    Cursor,
    DeadLetter,
    Ending,
    EventFilter,
    EventRow,
    Gap,
    Replay,
    Request,
)
from ackfirst.shared.store.store import Store, open_store

__all__ = [
    "FINAL_STATES",
    "Arrival",
    "Attempt",
    "AuditRow",
    "Batch",
    "Cursor",
    "DeadGroup",
    "DeadLetter",
    "Ending",
    "EventFilter",
    "EventRow",
    "Gap",
    "HandlerStats",
    "LastCallback",
    "Redacted",
    "Replay",
    "ReplayDay",
    "Request",
    "StaleBatchError",
    "Stats",
    "StatsPoint",
    "Store",
    "StoreUnavailableError",
    "open_store",
]
