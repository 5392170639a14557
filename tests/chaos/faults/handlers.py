"""Faults of the users' own code."""

from tests.chaos.fault import Fault
from tests.chaos.load import Load
from tests.chaos.world import World


def _none(world: World, load: Load) -> None:
    load.wait_for(1.0)


FAULTS = (
    Fault(
        name="handler-raises",
        about="every tenth event raises at its first attempt",
        strike=_none,
        handlers="raises",
        recovery=30.0,
        quick=True,
    ),
    Fault(
        name="handler-hangs",
        about="some handlers never come back and catch every Exception; their timeout is 1 s",
        strike=_none,
        handlers="hangs",
        recovery=60.0,
    ),
    Fault(
        name="handler-exits",
        about="some handlers end the process with os._exit(3)",
        strike=_none,
        handlers="exits",
        recovery=60.0,
    ),
    Fault(
        name="handler-crashes",
        about="some handlers end the process by SIGSEGV",
        strike=_none,
        handlers="crashes",
        recovery=60.0,
    ),
)
