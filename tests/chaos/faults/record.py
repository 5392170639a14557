"""Faults of what keeps the record: the recorder, its store, and the Redis from which it reads."""

import signal
import time
from pathlib import Path

from tests.chaos.fault import Fault
from tests.chaos.load import Load
from tests.chaos.recorded import ids_in, wait_until_recorded
from tests.chaos.world import World
from tests.support.children import kill
from tests.support.waiting import wait_until

#: Events that are recorded before a store is wiped.
_BEFORE_WIPE = 50


def _kill_recorder(world: World, load: Load) -> None:
    for share in (0.3, 0.5, 0.7):
        load.wait_for(share)
        (recorder,) = wait_until(world.recorders, timeout=30)
        kill(recorder)
        wait_until(lambda gone=recorder: set(world.recorders()) - {gone}, timeout=30)


def _kill_postgresql(world: World, load: Load) -> None:
    for share in (0.3, 0.6):
        load.wait_for(share)
        world.postgresql.kill()
        time.sleep(1.5)
        world.postgresql.start()


def _kill_redis(world: World, load: Load) -> None:
    for share in (0.3, 0.6):
        load.wait_for(share)
        with world.redis_away():
            time.sleep(0.5)


def _fill_disk(world: World, load: Load) -> None:
    load.wait_for(0.3)
    world.disk.fill()
    load.wait_for(0.8)
    wait_until(lambda: world.has_logged("record.unavailable"), timeout=30, message="the recorder finds the disk full")
    world.disk.make_room()


def _wipe(world: World, load: Load) -> None:
    load.wait_for(0.4)
    wait_until_recorded(world, _BEFORE_WIPE)
    (recorder,) = wait_until(world.recorders, timeout=30)
    kill(recorder, with_signal=signal.SIGSTOP)
    with world.open_store() as store:
        world.wiped = ids_in(store)
    for file in Path(world.record_folder).glob("record.db*"):
        file.unlink()
    kill(recorder)


FAULTS = (
    Fault(
        name="recorder-kill-9",
        about="kill -9 of the recorder, three times",
        strike=_kill_recorder,
        store="sqlite",
        quick=True,
    ),
    Fault(
        name="record-postgresql-kill-9",
        about="kill -9 of PostgreSQL, which holds the record, twice for 1.5 s",
        strike=_kill_postgresql,
        store="postgresql",
        lasts=4.0,
    ),
    Fault(
        name="record-redis-kill-9",
        about="kill -9 of Redis under the recorder, twice for 0.5 s",
        strike=_kill_redis,
        store="sqlite",
        lasts=2.0,
        again=None,
        recovery=30.0,
    ),
    Fault(
        name="record-disk-full",
        about="the disk of the record's SQLite file is full for a while",
        strike=_fill_disk,
        store="sqlite",
        disk="64m",
        lasts=3.0,
    ),
    Fault(
        name="record-store-wiped",
        about="the record's SQLite file is deleted while the recorder runs, and the recorder killed",
        strike=_wipe,
        store="sqlite",
    ),
)
