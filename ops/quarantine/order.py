"""Puts records back into the order in which the callbacks arrived."""

import heapq
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from ackfirst.shared.quarantine.review import Entry

#: Entries that are held back. Records are parked side by side, so each may stand a few places from where it belongs.
WINDOW: Final = 128


async def by_arrival(entries: AsyncIterable[Entry], *, window: int = WINDOW) -> AsyncIterator[Entry]:
    """The entries by the time at which their callbacks were received; those that cannot be read, by when they came.

    Whatever stands no more than ``window`` places from where it belongs gets there.
    """
    held: list[tuple[float, int, Entry]] = []
    place = 0
    async for entry in entries:
        heapq.heappush(held, (_arrived(entry), place, entry))
        place += 1
        if len(held) > window:
            yield heapq.heappop(held)[-1]
    while held:
        yield heapq.heappop(held)[-1]


def _arrived(entry: Entry) -> float:
    return entry.parked_at if entry.record is None else entry.record.received_at
