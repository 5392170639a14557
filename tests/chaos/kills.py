"""``python -m tests.chaos.kills``: kill engines under load, again and again, and count what is missing or ran twice.

The matrix kills an engine three times a row. Here several engines with eight threads work off lanes that never run
empty, and one after the other is killed with ``kill -9`` at a random moment, until the number is reached.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
import redis

from ackfirst.shared.queue import keys
from tests.chaos.notes import read
from tests.support.factories import make_envelope
from tests.support.jobs import enqueue
from tests.support.processes import Cli
from tests.support.redis_process import RedisProcess
from tests.support.waiting import POLL, wait_until

#: Lanes of the load, and how many events wait in all of them at the least.
LANES: Final = 3
LEAST_WAITING: Final = 2_000
#: Events that are queued at once.
PORTION: Final = 1_000
THREADS: Final = 8
#: Longest time between the first job of an engine and its kill.
LONGEST_LIFE_SECONDS: Final = 0.5
#: Longest time until an engine has begun, on a machine that is busy with something else.
START_SECONDS: Final = 300.0
#: Seconds without progress at the end after which what is missing is believed to be lost.
PATIENCE_SECONDS: Final = 30.0


@dataclass(slots=True)
class Run:
    """Everything that was started and queued."""

    folder: Path
    client: redis.Redis
    url: str
    stack: ExitStack
    dice: random.Random
    queued: set[str] = field(default_factory=set)
    started: int = 0

    @property
    def notes(self) -> Path:
        """The file in which handlers note what they have finished."""
        return self.folder / "notes"

    def start(self, role: str) -> Cli:
        """Start a process of the pool."""
        self.started += 1
        env = {
            "ACKFIRST_REDIS_URL": self.url,
            "ACKFIRST_DATA_DIR": str(self.folder / "data"),
            "ACKFIRST_HANDLERS": "tests.chaos.handlers",
            "ACKFIRST_THREADS": str(THREADS),
            "CHAOS_NOTES": str(self.notes),
            "CHAOS_HANDLERS": "slow",
        }
        name = f"{self.started}-{role}"
        return self.stack.enter_context(Cli("worker", "--role", role, cwd=self.folder, env=env, name=name))

    def top_up(self) -> None:
        """Queue more events when few wait."""
        if self.waiting() < LEAST_WAITING:
            events = [make_envelope(lane=f"lane-{number % LANES}") for number in range(PORTION)]
            enqueue(self.client, *events)
            self.queued.update(one.id for one in events)

    def find_busy(self, engines: Sequence[Cli]) -> Cli | None:
        """Return an engine that has events in hand, and see to it that there are some."""
        self.top_up()
        return next(filter(self.has_begun, engines), None)

    def waiting(self) -> int:
        """Count the events that wait in the lanes."""
        return sum(self.client.llen(keys.queue(f"lane-{number}")) for number in range(LANES))

    def has_begun(self, engine: Cli) -> bool:
        """Whether this engine has events in hand."""
        suffix = f"-{engine.process.pid}".encode()
        names = [name.decode() for name in self.client.hkeys(keys.ENGINES) if name.endswith(suffix)]
        return any(self.client.exists(keys.in_flight(name)) for name in names)

    def dead(self) -> set[str]:
        """Return the dead letters: events that had three engines killed under them."""
        lanes = (keys.failed(f"lane-{number}") for number in range(LANES))
        return {job.decode() for lane in lanes for job in self.client.zrange(lane, 0, -1)}

    def settle(self) -> None:
        """Wait until every event is accounted for, or nothing moves any more."""
        before, moved = -1, time.monotonic()
        while time.monotonic() - moved < PATIENCE_SECONDS:
            done = len(self.queued & (read(self.notes).finished.keys() | self.dead()))
            if done == len(self.queued) and not self.client.keys(keys.in_flight("*")):
                return
            if done != before:
                before, moved = done, time.monotonic()
            time.sleep(10 * POLL)


def kill_engines(run: Run, kills: int, at_once: int, *, seconds: float) -> int:
    """Kill as many engines, each after it has begun and a random time; returns how many in ``seconds``."""
    engines = [run.start("engine") for _ in range(at_once)]
    end = time.monotonic() + seconds
    for number in range(kills):
        if time.monotonic() > end:
            return number
        victim = wait_until(lambda: run.find_busy(engines), timeout=START_SECONDS)
        time.sleep(run.dice.uniform(0.0, LONGEST_LIFE_SECONDS))
        victim.process.kill()
        victim.wait()
        engines.remove(victim)
        engines.append(run.start("engine"))
        if (number + 1) % 25 == 0:
            click.echo(f"{number + 1} kills, {len(run.queued):,} events queued", err=True)
    return kills


@click.command()
@click.option("--kills", type=click.IntRange(1), default=300, show_default=True, help="Engines to kill.")
@click.option("--engines", type=click.IntRange(1, 16), default=3, show_default=True, help="Engines at the same time.")
@click.option("--seconds", type=click.FloatRange(1), default=1_800.0, show_default=True, help="Most time for kills.")
@click.option("--seed", type=int, help="Of the moments of the kills; random if not given.")
def main(*, kills: int, engines: int, seconds: float, seed: int | None) -> None:
    """Kill engines with eight threads under load; exit with 1 when an event is missing, or too many ran twice."""
    seed = random.SystemRandom().randrange(2**31) if seed is None else seed
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp"))
    (folder / "r").mkdir()
    began = time.monotonic()
    server = RedisProcess(folder / "r").start()
    try:
        with server.client() as client, ExitStack() as stack:
            run = Run(folder, client, server.url, stack, random.Random(seed))
            run.top_up()
            run.start("janitor")
            made = kill_engines(run, kills, engines, seconds=seconds)
            run.settle()
            notes, dead = read(run.notes), run.dead()
        missing = run.queued - notes.finished.keys() - dead
        repeats = sum(len(times) - 1 for times in notes.finished.values())
        click.echo(
            f"{made} kills, {len(run.queued):,} events, {len(missing)} missing, {repeats} ran again "
            f"({repeats / max(made, 1):.2f} a kill, at most {THREADS}), {len(dead)} dead letters, "
            f"{time.monotonic() - began:.0f} s, seed {seed}"
        )
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if missing or made < kills or repeats > made * THREADS else os.EX_OK)


if __name__ == "__main__":
    main()
