"""Every fault, in the order of the page."""

from typing import Final

from tests.chaos.fault import Fault
from tests.chaos.faults import clocks, handlers, ingest, overload, queue, record, redis, spool, workers

FAULTS: Final[tuple[Fault, ...]] = (
    *ingest.FAULTS,
    *workers.FAULTS,
    *redis.FAULTS,
    *spool.FAULTS,
    *clocks.FAULTS,
    *handlers.FAULTS,
    *overload.FAULTS,
    *queue.FAULTS,
    *record.FAULTS,
)


def fault(name: str) -> Fault:
    """The one of that name.

    Raises:
        KeyError: There is none.
    """
    return {one.name: one for one in FAULTS}[name]
