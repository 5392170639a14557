"""Faults of the processes that run handlers."""

import time
from typing import Final

from tests.chaos.fault import AGAIN_A_DEATH, AGAIN_IN_A_BACKLOG, Fault
from tests.chaos.load import Load
from tests.chaos.world import World
from tests.support.children import kill
from tests.support.waiting import wait_until

#: When the engines are killed: share of the traffic that is through.
_SHARES: Final = (0.25, 0.45, 0.65)
_AGAIN: Final = len(_SHARES) * AGAIN_A_DEATH
#: The same where handlers take no time: a kill may meet an engine that works off a backlog.
_AGAIN_INSTANT: Final = len(_SHARES) * AGAIN_IN_A_BACKLOG


def _kill_engine(world: World, load: Load) -> None:
    for share in _SHARES:
        load.wait_for(share)
        world.kill_engines()


def _kill_pool(world: World, load: Load) -> None:
    load.wait_for(0.4)
    kill(world.worker.process.pid, *world.engines())
    world.worker.wait()
    world.start_worker()
    world.wait_for_engines()


def _deploy(world: World, load: Load) -> None:
    for share in (0.3, 0.6):
        load.wait_for(share)
        assert world.worker.terminate() == 0, world.worker.output[-2000:]
        world.start_worker()
        world.wait_for_engines()


def _let_them_die(world: World, load: Load) -> None:
    load.wait_for(1.0)
    time.sleep(1.0)
    wait_until(world.engines, timeout=30)


FAULTS = (
    Fault(
        name="worker-kill-9-before",
        about="kill -9 of the engine, three times, handlers take no time: mostly before or after one",
        strike=_kill_engine,
        again=_AGAIN_INSTANT,
    ),
    Fault(
        name="worker-kill-9-in-handler",
        about="kill -9 of the engine, three times, while it is in a handler",
        strike=_kill_engine,
        handlers="slow",
        again=_AGAIN,
        recovery=30.0,
    ),
    Fault(
        name="worker-kill-9-after",
        about="kill -9 of the engine 0 to 4 ms after a handler's end, again and again",
        strike=_let_them_die,
        handlers="dies_after",
        again_a_death=1 + AGAIN_IN_A_BACKLOG,  # and the event itself
        recovery=60.0,
    ),
    Fault(
        name="worker-pool-kill-9",
        about="kill -9 of supervisor and engine, started again at once",
        strike=_kill_pool,
        again=AGAIN_IN_A_BACKLOG,
        quick=True,
    ),
    Fault(
        name="worker-sigterm",
        about="SIGTERM to the pool under load, twice, started again at once",
        strike=_deploy,
        handlers="slow",
        recovery=30.0,
    ),
)
