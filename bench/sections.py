"""List the sections of a run in the order of the page: heading, explanation, and the function that measures it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench import drain, engine, growth, ingest, memory, overload, recorder, shards, stages, store, tasks
from bench.plan import Plan
from bench.rows import Row


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the page."""

    title: str
    text: str
    """What a reader must know to understand the table. Contains no measured figure."""
    measure: Callable[[Plan], list[Row]]
    needs_peers: bool = False
    """Whether it measures other people's queues as well."""


#: Name on the command line → section.
SECTIONS: Final = {
    "ingest": Section(
        "Ingest, one process",
        """64 connections (256 where a row says so), each with one callback of 700 bytes in flight. *bare* is an
aiohttp handler on uvloop that reads the body and returns 200; all others verify the token and queue the event
in a Redis that syncs at once. *textbook* is aiohttp, `jwt.decode` and `Queue.enqueue` in a thread pool.

The load generator signs its requests before the clock starts, and reads no more of an answer than its
status. The last rows show what share of one core it used; near 1 it would be the limit.""",
        ingest.rates,
        needs_peers=True,
    ),
    "stages": Section(
        "Steps of ingest",
        """Each step by itself, over and over, with everything in the processor's caches. In a live server thousands
of other instructions run between two callbacks, and the same steps take longer. The rest is aiohttp (the
bare handler above), asyncio's futures and tasks, and one Redis command for all callbacks of a turn of the
event loop.""",
        stages.stages,
    ),
    "latency": Section(
        "Time to the 200",
        """An open loop: a callback is sent when it is due, whatever became of the one before, so that a stall shows
as latency of everything that was due meanwhile. The load generator's own delays count as well.""",
        ingest.latency,
    ),
    "replicas": Section(
        "Time to the 200 with a replica",
        """A master and a replica on this machine, both with `appendfsync always`. In turns: an answer once the
master has the event, and once the replica has it too (`ACKFIRST_REDIS_REPLICAS=1`). On a network its round
trip is added.""",
        overload.replicas,
    ),
    "flood": Section(
        "Time to the 200 during a flood",
        """Genuine callbacks in an open loop, on connections of their own, beside connections that send forgeries with
our API key and a wrong secret, each as fast as it is answered. The edge gives up after two seconds.""",
        overload.flood,
    ),
    "outage": Section(
        "Time to the 200 while Redis is killed",
        """300 callbacks a second in an open loop for ten seconds. Redis is ended by `kill -9` at a third and at two
thirds of them, and started again half a second later. Meanwhile events go to the spool on disk; at the
end they are counted in the queue.""",
        ingest.outage,
    ),
    "drain": Section(
        "From the spool to Redis",
        """A process starts with a spool full of events, as an outage leaves it: first without live callbacks, then
with half as many events and callbacks in an open loop. While callbacks come, draining takes half of the
time.""",
        drain.drain,
    ),
    "worker": Section(
        "Worker engine",
        """One process, a handler that does nothing, the same jobs.""",
        engine.rates,
    ),
    "tasks": Section(
        "One Redis command in each task",
        """One process each, all at the niceness that an engine gives itself, eight threads for plain functions and
a hundred coroutines at once for async ones. Redis syncs each write at once, also those of the tasks. Celery
gets a quarter of the tasks. *bare* is the same function or coroutine without a queue: what the user's own
code costs, which no queue can beat.""",
        tasks.commands,
        needs_peers=True,
    ),
    "sleeps": Section(
        "Tasks that wait",
        """Each task sleeps for 50 ms, as one that waits for another server. Eight threads can do 160 of them a
second.""",
        tasks.sleeps,
        needs_peers=True,
    ),
    "reach": Section(
        "From callback to handler",
        """Ingest and one engine together: from the time at which ingest had read the callback to the first line of
the handler. Then the same while all threads but one run handlers of another lane that sleep. Last, two
lanes, one with 100,000 waiting events all the time and one with a callback a second: the figures are
those of the second lane.""",
        engine.reach,
    ),
    "lanes": Section(
        "Many lanes",
        """One engine, a handler that does nothing, 10,000 events: each in a lane of its own, or all in one lane. The
last row is the time during which a script keeps Redis from answering anything else, ingest included.""",
        engine.lanes,
    ),
    "recorder": Section(
        "Recording",
        """Ingest and one engine, in turns with the record on and off: without a recorder, which is another process.
Then the recorder alone, with as many events that have been handled: it writes the arrival, the attempt and the end of
each. SQLite and PostgreSQL sync each of its transactions.""",
        recorder.recording,
    ),
    "processes": Section(
        "More processes",
        """`ackfirst ingest --processes N`, then `ackfirst worker --processes N` on as many of its events, with a
handler that does nothing. Load generator, Redis and all processes share the cores that are named below
the table: more processes than cores cannot be faster.""",
        growth.processes,
    ),
    "waiting": Section(
        "More waiting events",
        """Two Redis servers in turns, one with the fewest waiting events and one with more. In each turn ingest adds
some to the end of the lane, and an engine handles as many from its front. Redis does not rewrite its
append-only file meanwhile, except when these writes make it grow that far.""",
        growth.waiting,
    ),
    "bodies": Section(
        "Larger bodies",
        """The same turns with an empty queue and other sizes of bodies; of the largest there are a tenth as many.""",
        growth.bodies,
    ),
    "redis": Section(
        "What one event costs Redis",
        """Redis's own CPU time, with everything that belongs to an event: scripts, `appendfsync always`, keys that
expire. Redis runs commands on one core; it should not need more than 60 % of it.""",
        shards.cost,
    ),
    "record": Section(
        "The record",
        """The store alone, without the recorder's reading and parsing: batches of 500 events with one attempt each, and
each read with the values of random events of 90 days. Both engines sync at every commit; PostgreSQL is one
server on a unix socket. `python -m bench.store --rows 10000000` does the same with as many rows;
`python -m bench.pages` times the operator's page over them, and ingest beside a purge.""",
        store.store_rows,
    ),
    "memory": Section(
        "Redis memory of an event",
        """While it waits, with a body of 700 bytes: all of it, then each field by deleting it from all hashes, which
is its share of the allocation, which Redis rounds. Remembered ids are not part of it and have the last
rows: that many ids, randomly spread over their sets, and for comparison a key of its own that expires.""",
        memory.memory,
    ),
}
