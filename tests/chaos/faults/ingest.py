"""Faults of the process that answers."""

import time

from tests.chaos.fault import NO_ANSWER, Fault
from tests.chaos.load import Load
from tests.chaos.world import World
from tests.support.children import kill
from tests.support.waiting import wait_until


def _kill_one(world: World, load: Load) -> None:
    for share in (0.3, 0.6):
        load.wait_for(share)
        before = world.ingest_processes()
        kill(before[0])
        wait_until(lambda before=before: len(set(world.ingest_processes()) - {before[0]}) == len(before), timeout=30)


def _kill_all(world: World, load: Load) -> None:
    for share in (0.3, 0.6):
        load.wait_for(share)
        kill(world.ingest.process.pid, *world.ingest_processes())
        world.ingest.wait()
        world.start_ingest()


def _deploy(world: World, load: Load) -> None:
    load.wait_for(0.4)
    assert world.ingest.terminate() == 0, world.ingest.output[-2000:]
    world.start_ingest()


def _repeat(world: World, load: Load) -> None:
    """Half of the traffic comes twice: that is all."""


def _retry_during_drain(world: World, load: Load) -> None:
    with world.redis_away():
        load.wait_for(1.0)
        load.join()
    load.send_again()
    time.sleep(0.5)


FAULTS = (
    Fault(
        name="ingest-kill-9",
        about="kill -9 of one of two ingest processes, twice",
        strike=_kill_one,
        ingest=("--processes", "2"),
        refusals=frozenset({NO_ANSWER}),
    ),
    Fault(
        name="ingest-kill-9-whole",
        about="kill -9 of all of ingest, twice, started again at once",
        strike=_kill_all,
        refusals=frozenset({NO_ANSWER}),
        quick=True,
    ),
    Fault(
        name="ingest-sigterm",
        about="SIGTERM to ingest under load, started again at once: only connections are refused meanwhile",
        strike=_deploy,
        refusals=frozenset({NO_ANSWER}),
    ),
    Fault(
        name="duplicate-delivery",
        about="half of all callbacks come twice, some at the same moment",
        strike=_repeat,
        duplicates=0.5,
    ),
    Fault(
        name="retry-during-drain",
        about="every callback that went to the spool comes again while the spool is drained",
        strike=_retry_during_drain,
        lasts=1.0,
    ),
)
