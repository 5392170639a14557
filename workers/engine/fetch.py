"""Fetch jobs at the pace at which handlers take them."""

import time
from typing import Final

from ackfirst.workers.engine.fetched_job import FetchedJob
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.engine.pace import FIRST_JOBS, MOST_JOBS, Pace
from ackfirst.workers.engine.run import HandlerRun
from ackfirst.workers.engine.settle import InFlightStore
from ackfirst.workers.engine.threads import ThreadPool

#: Most jobs that wait for a thread.
MOST_WAITING: Final = MOST_JOBS


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
        *,
        has_async: bool,
        most: int = MOST_JOBS,
    ) -> None:
        """``has_async``: there are async handlers, which need no thread. ``most`` jobs are fetched at once."""
        self._lanes = lanes
        self._store = store
        self._pace = pace
        self._pool = pool
        self._has_async = has_async
        self._most = most
        self._is_lonely = False
        self.may_wait = False
        """Whether the lanes may hold jobs that were not fetched for want of room: the bell has rung for them."""

    def fetch(self) -> list[FetchedJob]:
        """Fetch what should begin now. Empty when nothing waits, or there is no room for it."""
        self.may_wait = True
        if self._is_lonely and len(self._store):
            return []
        threads = self._threads()
        if threads < 1 and not self._has_async:
            return []
        most = self._most
        if threads < 1 and not self._pace.has_async_room:
            most = min(most, FIRST_JOBS)
        self._pace.offer(threads)
        result = self._lanes.take(self._pace, have=len(self._store), most=most)
        self._store.add(job for job in result.jobs)
        self._is_lonely = result.is_lonely
        self.may_wait = result.is_lonely or result.is_full or threads < 1 or self._pace.is_limited
        return list(result.jobs)

    def _threads(self) -> float:
        """How many threads have nothing to do now, or will not in a moment, less what waits for them."""
        waiting = self._pool.waiting()
        if len(waiting) >= MOST_WAITING:
            return 0.0
        now = time.monotonic()
        running = [(run.lane, now - run.resumed if run.resumed else 0.0) for run in self._pool.running()]
        free = self._pool.size - len(running)
        return free + self._pace.soon_free(running) - self._pace.batches(run.lane for run in waiting)
