"""Time the operator's page over a record of millions of events, and ingest while a day of them is purged.

``python -m bench.pages --rows 10000000 --folder /tmp/record``; ``make bench`` does without it, for it takes an hour.
"""

import asyncio
import base64
import json
import random
import signal
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click
import redis

from ackfirst.shared.processes.free_port import free_port
from ackfirst.shared.queue import keys
from ackfirst.shared.store import EventFilter, EventRow, open_store
from bench import servers
from bench.filling import fill as fill_queue
from bench.load import API_KEY, SECRET, Run, callbacks, open_loop
from bench.plan import say
from bench.record_filling import DAY_SECONDS, DAYS, HANDLERS
from bench.record_filling import fill as fill_record
from bench.rows import Row, at, ratio, row
from bench.servers import running, wait_until
from bench.store import engines

#: Events that wait in Redis meanwhile, and their lanes.
_WAITING: Final = 100_000
_LANES: Final = 20
#: Requests of each page, with the values of as many random events.
_TIMES: Final = 40
#: Longest time of a page, and memory of its process.
_LONGEST_MS: Final = 100
_MOST_MB: Final = 120

#: Callbacks a second beside a purge, and for how long.
_RATE: Final = 300.0
_SECONDS: Final = 15.0
_CONNECTIONS: Final = 64

_PASSWORD: Final = "bench-password"  # of a server that lives for a minute on loopback
_CAUSE: Final = f"handler={HANDLERS[1]}&error=ValueError"

PAGES: Final[dict[str, Callable[[EventRow], str]]] = {
    "Now": lambda _: "/",
    "Now, a week": lambda _: "/?range=week",
    "Messages": lambda _: "/messages/",
    "older messages": lambda event: f"/messages/?after={quote(str(event.cursor))}",
    "a message": lambda event: f"/message?id={event.message_id}",
    "messages of a number": lambda event: f"/messages/?q={event.recipient}",
    "messages of a lane": lambda event: f"/messages/?q=lane:{event.lane}",
    "messages of an application": lambda event: f"/messages/?q=app:{event.application_id}",
    "read messages": lambda _: "/messages/?q=status:read",
    "dead events": lambda _: "/messages/?q=state:dead",
    "a rare family": lambda _: "/messages/?q=family:other",
    "Dead letters": lambda _: "/dead/",
    "dead letters of a cause": lambda _: f"/dead/list?{_CAUSE}",
    "plan of a replay of a cause, a week": lambda _: f"/replays/new?{_CAUSE}&window=week",
    "Quarantine": lambda _: "/quarantine/",
    "Lanes": lambda _: "/lanes/",
    "Replays": lambda _: "/replays/",
    "Handlers": lambda _: "/handlers/",
    "Handlers, a week": lambda _: "/handlers/?range=week",
}


def time_pages(store_url: str, engine: str) -> list[Row]:
    """Ask for each page again and again, over HTTP, and look at the memory of the process."""
    with open_store(store_url) as store:
        moments = [time.time() - random.random() * (DAYS - 1) * DAY_SECONDS for _ in range(_TIMES)]
        some = [store.events(EventFilter(until=moment), limit=1)[0] for moment in moments]
    rows = []
    with servers.redis() as redis_url:
        asyncio.run(fill_queue(redis_url, _WAITING, lanes=_LANES))
        with redis.Redis.from_url(redis_url) as client:
            client.delete(keys.RECORD)  # the record is up to date: no recorder runs here that would read this
        with _page(redis_url, store_url) as (port, pid):
            for name, path in PAGES.items():
                found = sorted(_milliseconds(port, path(event)) for event in some)
                say(f"{engine}: {name}: p50 {at(found, 0.5):.0f} ms, longest {found[-1]:.0f} ms")
                rows.append(row(f"{engine}: {name}, longest ms", [found[-1]], at_most=_LONGEST_MS))
            rows.append(row(f"{engine}: memory of the page's process, MB", [_resident_mb(pid)], at_most=_MOST_MB))
    return rows


@contextmanager
def _page(redis_url: str, store_url: str) -> Iterator[tuple[int, int]]:
    """Run ``ackfirst web``; yields its port and its process id."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        env = {
            "ACKFIRST_REDIS_URL": redis_url,
            "ACKFIRST_STORE_URL": store_url,
            "ACKFIRST_DATA_DIR": folder,
            "ACKFIRST_WEB_LISTEN": f"127.0.0.1:{port}",
            "ACKFIRST_WEB_PASSWORD": _PASSWORD,
            "ACKFIRST_API_KEY": API_KEY,
            "ACKFIRST_SIGNATURE_SECRET": SECRET,
        }
        with running("-m", "ackfirst", "web", env=env) as process:
            wait_until(lambda: _answers(port), "the page answers")
            yield port, process.pid


def _answers(port: int) -> bool:
    try:
        _milliseconds(port, "/")
    except OSError:
        return False
    return True


def _milliseconds(port: int, path: str) -> float:
    login = base64.b64encode(f"ackfirst:{_PASSWORD}".encode()).decode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Basic {login}"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    return 1000 * (time.perf_counter() - began)


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def time_ingest_beside_a_purge(store_url: str, engine: str, rounds: int) -> list[Row]:
    """Measure the time to the 200 alone and while the oldest day is purged, in turns, with Redis on the same disk."""
    alone, beside = [], []
    with servers.redis() as redis_url, servers.ingest(redis_url, settings={"ACKFIRST_STORE_URL": "off"}) as port:
        _send(port, 2.0)
        for number in range(1, rounds + 1):
            alone.append(_send(port, _SECONDS).percentile(0.99))
            before = (time.time() // DAY_SECONDS - DAYS + number) * DAY_SECONDS
            env = {"ACKFIRST_STORE_URL": store_url, "ACKFIRST_REDIS_URL": redis_url}
            day = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(before))
            with running("-m", "ackfirst", "purge", "--older-than", day, "--yes", env=env) as purge:
                beside.append(_send(port, _SECONDS).percentile(0.99))
                lasted = "longer" if purge.poll() is None else "less"
            say(f"{engine}: p99 {alone[-1]:.3g} ms alone, {beside[-1]:.3g} beside a purge that took {lasted}")
    return [
        row(f"{engine}: ack at 300/s, p99 ms", alone),
        row(f"{engine}: the same beside a purge, p99 ms", beside),
        ratio(f"{engine}: p99 beside a purge / alone", beside, alone, at_most=2),
    ]


def _send(port: int, seconds: float) -> Run:
    return asyncio.run(open_loop(port, callbacks(int(_RATE * seconds)), rate=_RATE, connections=_CONNECTIONS))


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Events in the record.")
@click.option("--rounds", default=3, show_default=True, help="Purges.")
@click.option("--engine", "only", type=click.Choice(["SQLite", "PostgreSQL"]), help="Only this engine.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Where the records are.")
def main(*, rows: int, rounds: int, only: str | None, folder: Path | None) -> None:
    """Measure the page and the purge with as many events as wanted; a JSON line a row."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started
    with engines(folder) as urls:
        for name, url in urls.items():
            if only in (None, name):
                with open_store(url, migrate=True):
                    pass  # makes the tables
                say(f"{name}: {fill_record(url, rows) / rows:,.0f} bytes an event")
                for one in [*time_pages(url, name), *time_ingest_beside_a_purge(url, name, rounds)]:
                    click.echo(json.dumps(one, ensure_ascii=False))


if __name__ == "__main__":
    main()
