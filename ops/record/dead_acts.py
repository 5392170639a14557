"""Give up dead letters, and queue those that RQ holds again when there is no record. Nothing here prints."""

import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Final

from redis import Redis

from ackfirst.ops.record.live import LiveQueue, pages
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import JobOptions
from ackfirst.shared.queue.record import outcome_text
from ackfirst.shared.queue.scripts import source
from ackfirst.shared.replay.job_field import JobReplay
from ackfirst.shared.replay.mover import Move, Moved, Mover
from ackfirst.shared.replay.selection import Selection
from ackfirst.shared.store import AuditRow, Cursor, Store
from ackfirst.shared.store.rows import EventRow

#: Dead letters that one script call drops.
PAGE: Final = 200
DAY_SECONDS: Final = 86_400

_SCRIPT: Final = source("ackfirst.ops.record", "drop.lua")


def chosen_rows(store: Store, selection: Selection) -> Iterator[EventRow]:
    """Read the dead letters of a selection, a page at a time, without bodies."""
    if selection.events:
        for event_id in selection.events:
            rows = [row for row in store.message(event_id) if row.event_id == event_id and row.state == "dead"]
            yield from rows
        return
    after: Cursor | None = None
    while page := store.events(selection.filter, after=after, limit=PAGE):
        yield from page
        after = Cursor(page[-1].received_at, page[-1].event_id)


def drop(store: Store, redis: Redis, selection: Selection, *, who: str, reason: str) -> int:
    """Drop the dead letters of a selection; return how many.

    The record keeps the events, as discarded, and the act. May be stopped and run again at any time.

    Raises:
        StoreUnavailableError: The record does not answer.
        RedisError: Redis does not answer.
    """
    note = f"dropped by {who}" + (f": {reason}" if reason else "")
    store.audit(AuditRow(time.time(), who, "dead-dropped", selection.encode()[:1000], reason))
    return sum(
        _drop(redis, [(row.event_id, row.lane, row.received_at) for row in page], note, is_recorded=True)
        for page in pages(chosen_rows(store, selection), PAGE)
    )


def drop_in_queue(redis: Redis, event_ids: Sequence[str], *, who: str) -> int:
    """Drop dead letters that RQ holds, without a record; return how many."""
    found = LiveQueue(redis).look(event_ids)
    rows = [(one, live.event.lane, live.event.received_at) for one, live in found.items()]
    return sum(_drop(redis, page, f"dropped by {who}", is_recorded=False) for page in pages(rows, PAGE))


def replay_in_queue(
    redis: Redis, options: JobOptions, event_ids: Sequence[str], *, handlers: tuple[str, ...], fresh: bool
) -> tuple[str, Moved]:
    """Put dead letters that RQ holds back into their lanes, without a record; return the replay's id and the result.

    Raises:
        RedisError: Redis does not answer.
    """
    replay = JobReplay(f"r-{secrets.token_hex(4)}", handlers or None, fresh, "dead")
    now = time.time()
    moves = [Move(event_id=one, lane="", received_at=0.0, cursor=one, replay=replay) for one in event_ids]
    # They were named: one that died a moment ago by a clock that is ahead is meant as well.
    return replay.id, Mover(redis, options).move(replay.id, "", moves, created_at=now + DAY_SECONDS, now=now)


def _drop(redis: Redis, rows: Sequence[tuple[str, str, float]], note: str, *, is_recorded: bool) -> int:
    now = time.time()
    arguments: list[str | bytes | int] = [keys.job(""), keys.failed(""), keys.LANE_PREFIX]
    arguments += [keys.marks(""), keys.results(""), int(is_recorded)]
    for event_id, lane, received_at in rows:
        line = [event_id, lane, "discarded", now, received_at, "", 0, note, None, []]
        arguments += [event_id, lane, outcome_text(line)]
    dropped: int = redis.register_script(_SCRIPT)(keys=[keys.RECORD], args=arguments)
    return dropped
