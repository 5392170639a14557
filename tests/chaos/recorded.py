"""What the record holds of a row's events, against what was acknowledged."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import redis

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.queue import keys
from ackfirst.shared.store import Cursor, EventFilter, EventRow, Store, open_store
from tests.support.waiting import POLL

if TYPE_CHECKING:
    from tests.chaos.world import World

#: Seconds that the recorder has after the last event was handled.
PATIENCE: Final = 60.0
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Recorded:
    """The record at the end of a row."""

    events: int
    missing: tuple[str, ...]
    """Acknowledged events that it does not hold with body, final state and attempt."""
    twice: tuple[str, ...]
    """Events with two rows, or with two successful attempts of the handler."""
    gap_events: int
    """Events that it says it misses."""


def recorded(world: "World", handled: Collection[str]) -> Recorded | None:
    """Wait until nothing is left to record, and compare with the events that were handled; None without a record."""
    url = world.store_url
    if url is None:
        return None
    deadline = time.monotonic() + PATIENCE
    while _is_behind(world) and time.monotonic() < deadline:
        time.sleep(POLL * 10)
    with open_store(url) as store:
        rows = list(_rows(store))
        done: dict[str, int] = {}
        for start in range(0, len(rows), _PAGE):
            for attempt in store.attempts([row.event_id for row in rows[start : start + _PAGE]]):
                done[attempt.event_id] = done.get(attempt.event_id, 0) + (attempt.ending == "done")
        whole = {row.event_id for row in rows if row.state == "processed" and (row.body or row.query)}
        seen: set[str] = set()
        double = {row.event_id for row in rows if row.event_id in seen or seen.add(row.event_id)}
        return Recorded(
            events=len(seen),
            missing=tuple(sorted(one for one in handled if one not in whole or not done.get(one))),
            twice=tuple(sorted(double | {one for one, count in done.items() if count > 1})),
            gap_events=sum(gap.count for gap in store.gaps(0.0)),
        )


def ids_in(store: Store) -> set[str]:
    """The events that it holds."""
    return {row.event_id for row in _rows(store)}


def _rows(store: Store) -> Iterator[EventRow]:
    after: Cursor | None = None
    while page := store.events(EventFilter(), after=after, limit=_PAGE, bodies=True):
        yield from page
        after = Cursor(page[-1].received_at, page[-1].event_id)


def _is_behind(world: "World") -> bool:
    try:
        with world.redis.client() as client:
            return bool(client.xlen(keys.RECORD))
    except redis.RedisError:
        return True


def wait_until_recorded(world: "World", events: int) -> set[str]:
    """Wait until the record holds so many events; their ids."""
    assert world.store_url is not None
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with open_store(world.store_url) as store:
                found = ids_in(store)
        except ConfigurationError:  # it does not answer, or there is none yet
            found = set()
        if len(found) >= events:
            return found
        time.sleep(POLL * 10)
    raise AssertionError(f"{events} events were not recorded within {PATIENCE:g} s")
