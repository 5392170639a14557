"""Faults of the disk, while Redis is away."""

import shutil
import time
from pathlib import Path

from ackfirst.shared.spool.segment import segment_paths
from tests.chaos.fault import NO_ANSWER, Fault
from tests.chaos.load import Load
from tests.chaos.world import World
from tests.support.children import kill
from tests.support.waiting import wait_until


def _fill_disk(world: World, load: Load) -> None:
    with world.redis_away():
        load.wait_for(0.3)
        world.disk.fill()
        time.sleep(2.5)
        world.disk.make_room()
        time.sleep(1.5)


def _leave_disk_full(world: World, load: Load) -> None:
    with world.redis_away():
        load.wait_for(0.5)
        world.disk.fill()
        kill(*world.ingest_processes())
        world.ingest.wait()
        world.launch_ingest()
    _start_again_if_needed(world)


def _kill_one(world: World, load: Load) -> None:
    with world.redis_away():
        load.wait_for(0.6)
        before = world.ingest_processes()
        kill(before[0])
        wait_until(lambda: len(set(world.ingest_processes()) - {before[0]}) == len(before), timeout=30)


def _tear(world: World, load: Load) -> None:
    with world.redis_away():
        load.wait_for(0.6)
        kill(*world.ingest_processes())
        world.ingest.wait()
        for path in segment_paths(spool_folder(world)):
            data = path.read_bytes()
            # A write that was under way: the beginning of a record, and sectors that were never written.
            path.write_bytes(data + data[:100] + bytes(512))
        world.launch_ingest()
    _start_again_if_needed(world)


def _remove_folder(world: World, load: Load) -> None:
    with world.redis_away():
        load.wait_for(0.5)
        # At one stroke: ingest makes the folder again as soon as it misses it, which may be while ``rmtree`` is in it.
        shutil.rmtree((world.folder / "data" / "spool").rename(world.folder / "removed"))
        wait_until(lambda: world.has_logged("spool.moved"), timeout=15)
        load.wait_for(0.7)
        kill(*world.ingest_processes())
        world.ingest.wait()
        world.launch_ingest()
    _start_again_if_needed(world)


def _start_again_if_needed(world: World) -> None:
    """An ingest without a supervisor waits for nobody: it may have ended while Redis was away."""
    if not world.ingest_answers():
        world.ingest.__exit__(None, None, None)
        world.start_ingest()


def spool_folder(world: World) -> Path:
    """Of the first process."""
    return world.folder / "data" / "spool" / "spool-0"


FAULTS = (
    Fault(
        name="spool-disk-full",
        about="Redis is away and the disk is full for 2.5 s: 503, until there is space again",
        strike=_fill_disk,
        lasts=4.0,
        disk="16m",
        refusals=frozenset({503}),
        again=1,
        quick=True,
    ),
    Fault(
        name="spool-disk-stays-full",
        about="the disk is full while Redis is away and stays so, and ingest gets kill -9: what waits is queued anyway",
        strike=_leave_disk_full,
        lasts=3.0,
        disk="16m",
        refusals=frozenset({NO_ANSWER, 503}),
        again=1,
    ),
    Fault(
        name="spool-folder-removed",
        about="the spool's folder is removed while Redis is away, and ingest gets kill -9 once it has said so",
        strike=_remove_folder,
        lasts=4.0,
        refusals=frozenset({NO_ANSWER, 503}),
        again=1,
    ),
    Fault(
        name="spool-kill-9",
        about="Redis is away, and one of two ingest processes gets kill -9: another one empties its folder",
        strike=_kill_one,
        lasts=2.0,
        ingest=("--processes", "2"),
        refusals=frozenset({NO_ANSWER}),
        again=1,
    ),
    Fault(
        name="spool-torn",
        about="kill -9 of ingest while Redis is away; then every segment ends in a write that was broken off",
        strike=_tear,
        lasts=3.0,
        refusals=frozenset({NO_ANSWER, 503}),
        again=1,
    ),
)
