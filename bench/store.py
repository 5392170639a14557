"""Measure the record's store: writes of batches, and reads and purges of many rows. ``--rows`` makes it millions.

``make bench`` runs it with few rows; ``python -m bench.store --rows 10000000 --folder /tmp/record`` as large as wanted.
"""

import itertools
import json
import random
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from ackfirst.shared.store import Arrival, Attempt, Batch, Ending, EventFilter, EventRow, Store, open_store
from bench.plan import Plan, say
from bench.record_filling import DAYS, HANDLERS, fill
from bench.rows import Row, at, row
from tests.support.postgresql import PostgresProcess, find_programs

#: Events of a batch, as the recorder writes them.
BATCH: Final = 500
#: Events a second that the recorder must reach; it has more to do than to write.
NEEDED_PER_SECOND: Final = {"SQLite": 4_000, "PostgreSQL": 3_000}
#: Longest p99 of a page or a message, milliseconds; of the counts of a day.
LONGEST_READ_MS, LONGEST_STATS_MS = 50, 300
_BODY: Final = b'{"message_uuid":"aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab","status":"delivered","text":"%s"}' % (
    b"x" * 600
)


@contextmanager
def engines(folder: Path | None = None) -> Iterator[dict[str, str]]:
    """Make an empty record on each engine that is installed; name → URL. PostgreSQL syncs to the disk (``fsync``)."""
    with TemporaryDirectory(prefix="af-", dir=folder or "/tmp") as made:
        urls = {"SQLite": f"sqlite:///{made}/data/record.db"}
        if find_programs() is None:
            yield urls
            return
        server_folder = Path(made) / "pg"
        server_folder.mkdir()
        Path(made).chmod(0o755)
        options = {"fsync": "on", "shared_buffers": "256MB", "max_wal_size": "2GB"}
        server = PostgresProcess(server_folder, **options).start()
        try:
            yield {**urls, "PostgreSQL": server.url()}
        finally:
            server.kill()


def batches(number: int, *, ended_later: bool = False) -> Iterator[Batch]:
    """Make batches of events that a handler has run; with ``ended_later`` their end is in the next batch."""
    before: list[Arrival] = []
    for position in range(1, number + 1):
        arrivals = [_arrival(time.time()) for _ in range(BATCH)]
        ended, before = (before, arrivals) if ended_later else (arrivals, arrivals)
        yield Batch(
            position=f"{time.time_ns()}-{position}",
            arrivals=arrivals,
            attempts=[_attempt(one) for one in ended],
            endings=[
                Ending(
                    event_id=one.event_id,
                    received_at=one.received_at,
                    lane=one.lane,
                    state="processed",
                    at=one.received_at + 0.02,
                    attempts=1,
                )
                for one in ended
            ],
        )


def _arrival(now: float) -> Arrival:
    random_id = secrets.token_hex(16)
    application = f"aaaaaaaa-bbbb-4ccc-8ddd-{random.randrange(20):012d}"
    return Arrival(
        event_id=f"s-{random_id}",
        account="abcd1234",
        application_id=application,
        lane=application,
        family="message-status",
        channel="whatsapp",
        message_id=f"{random_id[:8]}-bbbb-4ccc-8ddd-{random_id[8:20]}",
        client_ref=f"order-{random_id[20:]}" if random_id < "4" else None,
        status=random.choice(("submitted", "delivered", "read")),
        sender="447700900001",
        recipient=f"4477{random.randrange(10**8):08d}",
        received_at=now + random.random() / 1_000,
        occurred_at=now - 0.3,
        encoding="json",
        content_type="application/json",
        body=_BODY,
        query="",
        trace=None,
    )


def _attempt(event: Arrival) -> Attempt:
    return Attempt(
        event_id=event.event_id,
        received_at=event.received_at,
        handler="myapp.callbacks.on_status",
        number=1,
        worker="host.123.0",
        started=event.received_at + 0.01,
        seconds=0.003,
        ending="done",
    )


def write_rate(store: Store, number: int, *, ended_later: bool = False) -> float:
    """Write batches; return the events a second. Making the batches is not counted."""
    seconds = 0.0
    for batch in batches(number, ended_later=ended_later):
        began = time.perf_counter()
        store.write(batch)
        seconds += time.perf_counter() - began
    return number * BATCH / seconds


@dataclass(frozen=True, slots=True)
class Read:
    """One kind of read."""

    what: str
    call: Callable[[Store, EventRow], object]
    """Reads with the values of an event that exists."""
    longest_ms: int = LONGEST_READ_MS
    times: int = 200


_PAGE: Final = 50
READS: Final = (
    Read("message by its id", lambda store, some: store.message(some.message_id or "")),
    Read("message by event id", lambda store, some: store.message(some.event_id)),
    Read("attempts of an event", lambda store, some: store.attempts([some.event_id])),
    Read("first page", lambda store, _: store.events(EventFilter(), limit=_PAGE)),
    Read("page after an event", lambda store, some: store.events(EventFilter(), after=some.cursor, limit=_PAGE)),
    Read("page before an event", lambda store, some: store.events(EventFilter(), before=some.cursor, limit=_PAGE)),
    Read("page of a recipient", lambda store, some: store.events(EventFilter(recipient=some.recipient), limit=_PAGE)),
    Read(
        "page of an application and a status",
        lambda store, some: store.events(
            EventFilter(application_id=some.application_id, status=some.status), after=some.cursor, limit=_PAGE
        ),
    ),
    Read("page of a lane", lambda store, some: store.events(EventFilter(lane=some.lane), limit=_PAGE)),
    Read("page of a rare family", lambda store, _: store.events(EventFilter(family="other"), limit=_PAGE)),
    Read("page of dead events", lambda store, some: store.events(EventFilter(state="dead"), after=some.cursor)),
    Read(
        "page of a handler",
        lambda store, some: store.events(EventFilter(handler=HANDLERS[1]), after=some.cursor, limit=_PAGE),
    ),
    Read("count up to 10,000", lambda store, some: store.count(EventFilter(status=some.status)), times=50),
    Read("groups of dead letters", lambda store, _: store.dead_groups(time.time())),
    Read("page of dead letters", lambda store, _: store.dead(HANDLERS[1], "ValueError", limit=_PAGE)),
    Read(
        "counts of a day", lambda store, _: store.stats(time.time() - 86_400, time.time()), LONGEST_STATS_MS, times=50
    ),
    Read(
        "counts of all days",
        lambda store, _: store.stats(time.time() - DAYS * 86_400, time.time()),
        LONGEST_STATS_MS,
        times=20,
    ),
)


def time_reads(store: Store, engine: str) -> list[Row]:
    """Time each kind of read with the values of random events."""
    now = time.time()
    some = [store.events(EventFilter(until=now - random.random() * DAYS * 86_400), limit=1) for _ in range(100)]
    known = [page[0] for page in some if page]
    rows = []
    for read in READS:
        milliseconds = []
        for event in itertools.islice(itertools.cycle(known), read.times):
            began = time.perf_counter()
            read.call(store, event)
            milliseconds.append((time.perf_counter() - began) * 1_000)
        milliseconds.sort()
        half, most = at(milliseconds, 0.5), at(milliseconds, 0.99)
        say(f"{engine}: {read.what}: p50 {half:.1f} ms, p99 {most:.1f} ms")
        rows.append(row(f"{engine}: {read.what}, p99 in ms", [most], at_most=read.longest_ms))
    return rows


def purge_day(store: Store, engine: str) -> list[Row]:
    """Purge the oldest day."""
    began = time.perf_counter()
    removed = store.purge((time.time() // 86_400 - DAYS + 1) * 86_400)
    seconds = time.perf_counter() - began
    say(f"{engine}: purge of {removed:,} events in {seconds:.1f} s")
    return [row(f"{engine}: purge of a day ({removed:,} events), seconds", [seconds])]


def measure(engine: str, url: str, rows: int, rounds: int) -> list[Row]:
    """Write batches into an empty record, fill it, read, and purge a day."""
    found = []
    with open_store(url, migrate=True) as store:
        for what, later in (("with their ends", False), ("ended in the next batch", True)):
            found.append(_write_rates(store, engine, what, rounds, ended_later=later))
    size = fill(url, rows)
    say(f"{engine}: {rows:,} events filled in, {size / rows:,.0f} bytes each")
    found.append(row(f"{engine}: bytes of an event with its attempt", [size / rows]))
    with open_store(url) as store:
        found += time_reads(store, engine)
        found.append(_write_rates(store, engine, f"into {rows:,}", rounds))
        found += purge_day(store, engine)
    return found


def _write_rates(store: Store, engine: str, what: str, rounds: int, *, ended_later: bool = False) -> Row:
    rates = [write_rate(store, 20, ended_later=ended_later) for _ in range(rounds)]
    say(f"{engine}: {max(rates):,.0f} events/s written, {what}")
    return row(f"{engine}: events/s written, {what}", rates, at_least=NEEDED_PER_SECOND[engine])


def store_rows(plan: Plan) -> list[Row]:
    """Measure each engine with ten rows for every callback of the plan."""
    with engines() as urls:
        return [one for name, url in urls.items() for one in measure(name, url, 10 * plan.count, plan.rounds)]


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Events in the record.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--engine", "only", type=click.Choice(list(NEEDED_PER_SECOND)), help="Only this engine.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Where the records are.")
def main(*, rows: int, rounds: int, only: str | None, folder: Path | None) -> None:
    """Measure the store with as many rows as wanted; a JSON line a row."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started
    with engines(folder) as urls:
        for name, url in urls.items():
            if only in (None, name):
                for one in measure(name, url, rows, rounds):
                    click.echo(json.dumps(one, ensure_ascii=False))


if __name__ == "__main__":
    main()
