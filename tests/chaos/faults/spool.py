"""Faults of the disk, while Redis is away."""

import resource
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.chaos.children import kill
from tests.chaos.fault import NO_ANSWER, Fault
from tests.chaos.load import Load
from tests.chaos.world import World
from tests.support.waiting import wait_until

#: Bytes that a file of ingest may have while its disk is "full".
_DISK: Final = 200_000


def _fill_disk(world: World, load: Load) -> None:
    [pid] = world.ingest_processes()
    with world.redis_away():
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (_DISK, resource.RLIM_INFINITY))
        time.sleep(2.5)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        time.sleep(1.5)


def _kill_one(world: World, load: Load) -> None:
    with world.redis_away():
        load.wait_for(0.6)
        before = world.ingest_processes()
        kill(before[0])
        wait_until(lambda: len(set(world.ingest_processes()) - {before[0]}) == len(before), timeout=30)


def _damage(world: World, load: Load) -> None:
    with world.redis_away():
        load.wait_for(0.6)
        kill(*world.ingest_processes())
        world.ingest.wait()
        _settle_into_one_file(spool_file(world))
        _scratch_free_bytes(spool_file(world))
        world.launch_ingest()
    # An ingest without a supervisor waits for nobody: it ended while Redis was away.
    if not world.ingest_answers():
        world.ingest.__exit__(None, None, None)
        world.start_ingest()


def spool_file(world: World) -> Path:
    """Of the first process."""
    return world.folder / "data" / "spool" / "spool-0.db"


def _settle_into_one_file(path: Path) -> None:
    """Bring what is in SQLite's log into the file, as a checkpoint does at a moment of its own."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _scratch_free_bytes(path: Path) -> None:
    """Destroy the root of the table: no record is in it, but without it SQLite finds none."""
    with closing(sqlite3.connect(path)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'records'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xa5" * size)


FAULTS = (
    Fault(
        name="spool-disk-full",
        about="Redis is away and the disk is full for 2.5 s: 503, until there is space again",
        strike=_fill_disk,
        lasts=4.0,
        refusals=frozenset({503}),
        again=1,
        quick=True,
    ),
    Fault(
        name="spool-kill-9",
        about="Redis is away, and one of two ingest processes gets kill -9: another one empties its file",
        strike=_kill_one,
        lasts=2.0,
        ingest=("--processes", "2"),
        refusals=frozenset({NO_ANSWER}),
        again=1,
    ),
    Fault(
        name="spool-damaged",
        about="kill -9 of ingest while Redis is away; then the spool's file is damaged so that SQLite cannot read it",
        strike=_damage,
        lasts=3.0,
        refusals=frozenset({NO_ANSWER, 503}),
        again=1,
    ),
)
