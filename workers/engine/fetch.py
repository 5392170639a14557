"""Fetch jobs at the pace at which handlers take them."""

import time
from typing import Final

from ackfirst.workers.engine.fetched_job import FetchedJob
from ackfirst.workers.engine.handler_run import HandlerRun
from ackfirst.workers.engine.in_flight import InFlightStore
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.engine.pace import FIRST_JOBS, MOST_JOBS, Pace
from ackfirst.workers.engine.settle import Settler
from ackfirst.workers.engine.threads import ThreadPool

#: Share of what the threads can begin that must be wanted for a round trip to be worth its while.
LEAST_SHARE: Final = 0.5
#: Most jobs that wait for a thread.
MOST_WAITING: Final = MOST_JOBS
#: Most jobs that may have ended without being settled for another fetch to bring more: they run again if the engine
#: dies. One batch on its way to Redis and one that has ended meanwhile; more when Redis is slow.
MOST_UNSETTLED: Final = 2 * MOST_JOBS


class Prefetcher:
    """Decides how much to fetch: what the free threads can begin, and a little for those that are free in a moment.

    An event that was fetched is lost to the other engines until it begins here. So nothing is fetched to wait behind
    slow handlers; ``SlowHandlerMonitor`` gives back what does so all the same.
    """

    def __init__(
        self,
        lanes: Lanes,
        store: InFlightStore,
        pace: Pace,
        pool: ThreadPool[HandlerRun],
        settler: Settler,
        *,
        has_async: bool,
        most: int = MOST_JOBS,
    ) -> None:
        """``has_async``: there are async handlers, which need no thread. ``most`` jobs are fetched at once."""
        self._lanes = lanes
        self._store = store
        self._pace = pace
        self._pool = pool
        self._settler = settler
        self._has_async = has_async
        self._most = most
        self._must_be_empty = False
        self.may_wait = False
        """Whether the lanes may hold jobs that were not fetched for want of room: the bell has rung for them."""

    def fetch(self) -> list[FetchedJob]:
        """Fetch what should begin now. Empty when nothing waits, or there is no room for it."""
        self.may_wait = True
        if self._must_be_empty and len(self._store):
            return []
        if self._settler.unsettled >= MOST_UNSETTLED:
            return []
        threads = self._threads()
        if not threads and not self._has_async:
            return []
        most = self._most
        if not threads and not self._pace.has_async_room:
            most = min(most, FIRST_JOBS)
        self._pace.offer(threads)
        result = self._lanes.take(self._pace, have=len(self._store), most=most)
        self._store.add(job for job in result.jobs)
        # A job that has killed a worker runs alone: a kill is charged to every job that the worker has in hand.
        self._must_be_empty = result.is_lonely or any(job.has_killed for job in result.jobs)
        self.may_wait = self._must_be_empty or result.is_full or not threads or self._pace.is_limited
        return list(result.jobs)

    def _threads(self) -> float:
        """Count the threads that are free now or in a moment, less the work that waits for them; 0 if too few."""
        waiting = self._pool.waiting()
        if len(waiting) >= MOST_WAITING:
            return 0.0
        now = time.monotonic()
        running = [(run.lane, now - run.resumed if run.resumed else 0.0) for run in self._pool.running()]
        threads = self._pool.size - len(running) + self._pace.soon_free(running)
        wanted = threads - self._pace.batches(run.lane for run in waiting)
        return wanted if threads >= 1 and wanted >= LEAST_SHARE * threads else 0.0
