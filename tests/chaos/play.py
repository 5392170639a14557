"""One row: start everything, send, strike, wait until all is settled, compare."""

import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import redis

from tests.chaos.fault import Fault
from tests.chaos.ledger import Findings, Ledger, Stock, acknowledged, draw_up, stock, unplayed
from tests.chaos.load import BEFORE, Kind, Load, Shape
from tests.chaos.matrix import fault as named
from tests.chaos.notes import read
from tests.chaos.recorded import recorded
from tests.chaos.world import World
from tests.support.waiting import POLL

#: Seconds without any progress after which what is missing is believed to be lost.
PATIENCE: Final = 25.0


def play_named(name: str, kind: Kind, shape: Shape, *, seed: int, keep: bool, timed: bool) -> Ledger:
    """``play`` for another process, which a fault itself cannot be sent to."""
    return play(named(name), kind, shape, seed=seed, keep=keep, timed=timed)


def play(fault: Fault, kind: Kind, shape: Shape, *, seed: int, keep: bool = False, timed: bool = True) -> Ledger:
    """Run one row. Where it does not hold, or with ``keep``, its folder stays and its name is told on stderr."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp"))
    kept = True
    try:
        try:
            ledger = _play(folder, fault, kind, shape, seed, timed=timed)
        except Exception as error:  # noqa: BLE001 - one row that cannot be played is no reason to drop the others
            ledger = unplayed(fault, kind, f"{type(error).__name__}: {error}")
        kept = keep or not ledger.holds
    finally:
        if kept:
            sys.stderr.write(f"{fault.name} ({kind}): logs and data are kept in {folder}\n")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return ledger


def _play(folder: Path, fault: Fault, kind: Kind, shape: Shape, seed: int, *, timed: bool) -> Ledger:
    with World(folder, fault) as world:
        if fault.rate and kind is Kind.STEADY:
            shape = replace(shape, rate=fault.rate)
        load = Load(world.url, kind, shape, lasts=fault.lasts, duplicates=fault.duplicates, seed=seed)
        load.start()
        load.wait_for(BEFORE)
        fault.strike(world, load)
        fault_end = time.perf_counter()
        deliveries = [delivery for result in load.join() for delivery in result.deliveries]
        found = _settle(world, set(acknowledged(deliveries)))
        handled = acknowledged(deliveries).keys() & read(world.notes).finished.keys()
        findings = Findings(
            deliveries=deliveries,
            notes=read(world.notes),
            stock=found,
            fault_end=fault_end,
            killed=world.killed,
            deaths=len(list((world.folder / "once").iterdir())),
            recorded=recorded(world, handled - world.wiped),
        )
        return draw_up(fault, kind, findings, timed=timed)


def _settle(world: World, expected: set[str]) -> Stock:
    """Wait until nothing is owed and nothing waits, or nothing moves any more."""
    before: tuple[int, int] | None = None
    moved = time.monotonic()
    with world.redis.client() as client:
        while True:
            found = _look(client)
            notes = read(world.notes)
            if found and not found.waiting and expected <= notes.finished.keys() | found.dead | found.quarantined:
                return found
            now = (len(notes.finished), found.waiting if found else -1)
            if now != before:
                before, moved = now, time.monotonic()
            if time.monotonic() - moved > PATIENCE:
                return found or Stock(frozenset(), frozenset(), 0)
            time.sleep(POLL * 10)


def _look(client: redis.Redis) -> Stock | None:
    try:
        return stock(client)
    except redis.RedisError:
        return None
