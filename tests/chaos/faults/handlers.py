"""Faults of the users' own code."""

import os
from pathlib import Path
from typing import Final

from tests.chaos.fault import AGAIN_IN_A_BACKLOG, Fault
from tests.chaos.load import Load
from tests.chaos.world import World


def _none(world: World, load: Load) -> None:
    load.wait_for(1.0)


def _watch_memory(world: World, load: Load) -> None:
    [engine] = world.engines()
    before = _resident(engine)
    load.wait_for(1.0)
    grown = _resident(engine) - before
    assert grown < MOST_GROWTH, f"the engine has grown by {grown:,} bytes"


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


#: Bytes by which an engine may grow while its handlers leak a hundred times that.
MOST_GROWTH: Final = 50_000_000


FAULTS = (
    Fault(
        name="handler-raises",
        about="every tenth event raises at its first attempt",
        strike=_none,
        handlers="raises",
        recovery=30.0,
    ),
    Fault(
        name="handler-hangs",
        about="some handlers never come back and catch every Exception; their timeout is 1 s",
        strike=_none,
        handlers="hangs",
        recovery=60.0,
    ),
    Fault(
        name="handler-ignores-timeout",
        about="some handlers catch even the timeout's own exception; ackfirst worker --isolate",
        strike=_none,
        handlers="ignores",
        worker=("--isolate",),
        recovery=60.0,
    ),
    Fault(
        name="handler-leaks",
        about="every event leaks half a megabyte, and the engine may not grow by 50; ackfirst worker --isolate",
        strike=_watch_memory,
        handlers="leaks",
        worker=("--isolate",),
        recovery=60.0,
    ),
    Fault(
        name="handler-crashes-isolated",
        about="some handlers end their process by SIGSEGV; ackfirst worker --isolate: no engine dies",
        strike=_none,
        handlers="crashes",
        worker=("--isolate",),
        recovery=30.0,
        quick=True,
    ),
    Fault(
        name="handler-exits",
        about="some handlers end the process with os._exit(3)",
        strike=_none,
        handlers="exits",
        recovery=60.0,
        again_a_death=AGAIN_IN_A_BACKLOG,
    ),
    Fault(
        name="handler-crashes",
        about="some handlers end the process by SIGSEGV",
        strike=_none,
        handlers="crashes",
        recovery=60.0,
        again_a_death=AGAIN_IN_A_BACKLOG,
    ),
)
