"""Handlers to copy and change: reply on WhatsApp, log a message that fails, store every event.

Start the worker with ACKFIRST_HANDLERS=examples.handlers (or the name of your own module). A handler may run more than
once for one event, for example if a worker is killed while it runs. So make its effect the same the second time: pass
``context.idempotency_key`` to services that accept such a key, and use ``event.id`` as the key of your rows.
"""

import os
import sqlite3
from functools import cache
from pathlib import Path

from ackfirst import Context, Discard, Event, RetryLater, on


class BusyError(Exception):
    """Raise this in ``send`` when your messaging service says that you are too fast."""


async def send(recipient: str, text: str, context: Context) -> None:
    """Send a WhatsApp message. Call your messaging service here; this example only writes a log line."""
    # The recipient and the text are personal data: keep them out of your logs.
    context.log.info("reply.sent", characters=len(text), digits=len(recipient), key=context.idempotency_key)


# An ``async`` handler, for code that waits for a network. It runs for events that match all filters.
@on("inbound-message", channel="whatsapp")
async def reply(event: Event, context: Context) -> None:
    """Reply to a WhatsApp message."""
    if not event.sender or not event.text:
        raise Discard("nothing to reply to")  # finished, no retry
    try:
        await send(event.sender, f"Thank you, we have received: {event.text}", context)
    except BusyError as busy:
        raise RetryLater(60) from busy  # seconds
    # Any other exception is retried too, after 5 s, 30 s, 2 min … (ACKFIRST_RETRY_SCHEDULE).


# A plain function. Several values in braces: any of them.
@on("message-status", status={"rejected", "undeliverable"})
def alert(event: Event, context: Context) -> None:
    """Log that one of our messages did not arrive."""
    code = event.error.code if event.error else None
    context.log.warning("message.failed", message_id=event.message_id, channel=event.channel, code=code)


# Without filters: every event. Plain functions run in several threads, and SQLite has one writer: ``serial`` runs this
# one once at a time in each worker process, so that all threads can share the connection.
@on(serial=True)
def store(event: Event) -> None:
    """Store the event in a table. Storing it again only changes the count of deliveries."""
    with table() as rows:  # commits at the end of the block
        rows.execute(
            "INSERT INTO events (id, family, channel, status, message_id, event) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET deliveries = deliveries + 1",
            (event.id, event.family, event.channel, event.status, event.message_id, event.as_json()),
        )


@cache
def table() -> sqlite3.Connection:
    """Open the database ``events.db`` in the data folder, once in each worker process."""
    folder = Path(os.environ.get("ACKFIRST_DATA_DIR", ".ackfirst"))
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "events.db", timeout=30, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")  # readers do not disturb the worker
    database.execute(
        "CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, family TEXT, channel TEXT, status TEXT, "
        "message_id TEXT, event TEXT, deliveries INTEGER NOT NULL DEFAULT 1)"
    )
    return database
