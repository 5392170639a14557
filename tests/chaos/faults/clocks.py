"""Faults of the wall clock, of all processes and of Redis itself."""

import time
from collections.abc import Callable

from tests.chaos.fault import Fault
from tests.chaos.load import Load
from tests.chaos.world import World


def _step(seconds: float) -> Callable[[World, Load], None]:
    def strike(world: World, load: Load) -> None:
        assert world.clock
        load.wait_for(0.3)
        world.clock.step(seconds)
        time.sleep(2.0)
        world.clock.step(0)

    return strike


def _fault(name: str, about: str, seconds: float) -> Fault:
    return Fault(
        name=f"clock-{name}",
        about=f"the clock of every process, Redis included, is {about} for 2 s",
        strike=_step(seconds),
        lasts=2.0,
        clock=True,
        handlers="raises",
        recovery=30.0,
    )


FAULTS = (
    _fault("5s-ahead", "5 s ahead", 5),
    _fault("5s-behind", "5 s behind", -5),
    _fault("1h-ahead", "an hour ahead", 3600),
    # Every token is then of the future: verified all the same, for it is our clock that is wrong.
    _fault("1h-behind", "an hour behind", -3600),
)
