"""Faults of others that want the same CPUs: our own handlers, and strangers at the door."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.chaos.fault import Fault
from tests.chaos.load import Load
from tests.chaos.world import World
from tests.support.processes import ROOT

#: Connections of strangers, each with a forgery under way all the time.
STRANGERS: Final = 200

#: Seconds for which they come.
_SECONDS: Final = 8.0

#: The edge gives up after two seconds (deploy/edge/callbacks.conf).
_LONGEST: Final = 2000.0


@contextmanager
def strangers(port: int, seconds: float) -> Iterator[None]:
    """Forgeries from many connections meanwhile, from a process of its own."""
    argv = [sys.executable, "-m", "tests.chaos.strangers", str(port), str(STRANGERS), str(seconds)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()  # they are connected
        try:
            yield
        finally:
            process.terminate()


def _flood(world: World, load: Load) -> None:
    with strangers(world.port, _SECONDS):
        _burn(world, load)


def _burn(world: World, load: Load) -> None:
    load.join()
    (world.folder / "calm").touch()  # what waits is processed without burning: the answers are what counts


FAULTS = (
    Fault(
        name="handlers-burn-cpu",
        about="six engines whose handlers use every CPU; every answer is 200",
        strike=_burn,
        handlers="burns",
        alone=True,
        worker=("--processes", "6"),
        ack_p99=250.0,
        recovery=120.0,
    ),
    Fault(
        name="overload-100",
        about="100 callbacks a second while six engines use every CPU and 200 connections send forgeries",
        strike=_flood,
        lasts=_SECONDS - 2.5,
        rate=100.0,
        handlers="burns",
        alone=True,
        worker=("--processes", "6"),
        ack_p99=250.0,
        ack_longest=_LONGEST,
        recovery=120.0,
    ),
    Fault(
        name="overload-300",
        about="300 callbacks a second while six engines use every CPU and 200 connections send forgeries",
        strike=_flood,
        lasts=_SECONDS - 2.5,
        rate=300.0,
        handlers="burns",
        alone=True,
        worker=("--processes", "6"),
        ack_longest=_LONGEST,
        recovery=180.0,
    ),
)
