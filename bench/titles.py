"""What each section is called, and what a reader must know to understand its table. No figure that a run measures."""

from typing import Final

#: Section -> its heading and its text.
TITLES: Final = {
    "ingest": (
        "Ingest, one process",
        """64 connections, each with one callback of 700 bytes under way. *bare* is an aiohttp handler on uvloop
that reads the body and returns 200; all others verify the token and queue the event in a Redis that
syncs at once. *textbook* is aiohttp, `jwt.decode` and `Queue.enqueue` in a thread pool.

The load generator is not what is measured: it sends requests that were made before the clock starts, and
reads no more of an answer than its status. The same generator gets the rate of *bare*, and the last rows
show what share of one core it used; near 1 it would be the limit.""",
    ),
    "stages": (
        "Where ingest's time goes",
        """Each step by itself, over and over, with everything in the processor's caches. Between two callbacks of a
live server run thousands of other instructions: there the same steps take longer. The rest is aiohttp
(the bare handler above), asyncio's futures and tasks, and one command to Redis for all callbacks of a turn
of the event loop.""",
    ),
    "latency": (
        "Time to the 200",
        """An open loop: a callback is sent when its time has come, whatever became of the one before; a stall shows
as latency of all that wait. So does what the load generator itself is late by; it is idle most of the time.""",
    ),
    "outage": (
        "Time to the 200 while Redis is killed",
        """300 callbacks a second in an open loop for ten seconds. Redis is ended by `kill -9` at a third and at two
thirds of them, and started again half a second later. Meanwhile events go to the spool on disk; at the
end they are counted in the queue.""",
    ),
    "drain": (
        "From the spool to Redis",
        """A process starts with a spool that is full of events, as an outage leaves it: at first without, then with
half as many events and live callbacks in an open loop. While callbacks come, draining takes half of the time.""",
    ),
    "worker": ("Worker engine", "One process, a handler that does nothing, the same jobs."),
    "tasks": (
        "One command to Redis in each task",
        """One process each. Redis syncs each write at once, also those of the handlers: a plain handler waits for
one at a time. Celery gets a quarter of the tasks.""",
    ),
    "reach": (
        "From callback to handler",
        """Ingest and one engine together: from the moment at which ingest had read the callback to the first line
of the handler. Then two lanes, one with 100,000 waiting events all the time and one with a callback a
second, and one engine for both: the figures are those of the second lane.""",
    ),
    "processes": (
        "More processes",
        """`ackfirst ingest --processes N`, then `ackfirst worker --processes N` on as many of its events, with a
handler that does nothing. Load generator, Redis and all processes share the cores that are named below
the table: more processes than cores cannot be faster.""",
    ),
    "waiting": (
        "More waiting events",
        """Two Redis servers in turns, one with the fewest waiting events and one with more. In each turn ingest adds
some to the end of the lane and an engine then takes as many from its front. Redis does not write its
append-only file anew meanwhile, except when ours makes it grow that far.""",
    ),
    "bodies": (
        "Larger bodies",
        """The same turns with an empty queue and other sizes of bodies; of the largest there are a tenth as many.""",
    ),
    "memory": (
        "Redis memory of an event",
        """While it waits, with a body of 700 bytes: all of it, then each field by taking it out of all hashes, which
is its share of the allocation, which Redis rounds. What remembers its id is not in it and has the last
rows: as many ids, spread over their sets as chance has it, and for comparison a key of its own that expires.""",
    ),
}
