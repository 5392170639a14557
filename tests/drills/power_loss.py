"""Lose power at random moments, again and again, and count what was acknowledged and is gone."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.drills.powered import Machine, Part, machine
from tests.support.folders import new_short_folder
from tests.support.waiting import wait_until

#: Power losses of one machine, after which another one begins with an empty disk.
LOSSES_OF_A_MACHINE: Final = 5

#: Most seconds of traffic between two things that happen.
LONGEST: Final = 0.6


@dataclass(slots=True)
class Tally:
    """What the rounds so far have come to."""

    seed: int
    rounds: int = 0
    machines: int = 0
    kills: int = 0
    """Processes that were killed while the machine went on."""
    sent: int = 0
    acknowledged: int = 0
    from_spool: int = 0
    """Acknowledged events that only the spool had after a loss of power."""
    missing: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.rounds} power losses of {self.machines} machines, {self.kills} kills between them, "
            f"{self.sent} sent, {self.acknowledged} acknowledged, {self.from_spool} of them only in the spool, "
            f"missing {len(self.missing)}, {self.seconds:.0f} s, seed {self.seed}"
        )


def play(
    *,
    seed: int,
    rounds: int,
    seconds: float,
    careless: frozenset[Part] = frozenset(),
    until_missing: bool = False,
    report: Callable[[str], None] = lambda text: None,
) -> Tally:
    """Play so many rounds, or as many as ``seconds`` allow.

    Args:
        seed: Of every choice; the moments themselves depend on the machine.
        rounds: Power losses.
        seconds: No round begins later than this.
        careless: Parts whose syncs do nothing: a loss must be found.
        until_missing: End with the first loss.
        report: Gets a line a round.
    """
    tally, began = Tally(seed), time.monotonic()

    def is_over() -> bool:
        tally.seconds = time.monotonic() - began
        return tally.rounds >= rounds or tally.seconds > seconds or (until_missing and bool(tally.missing))

    while not is_over():
        tally.machines += 1
        with new_short_folder(prefix="power-") as folder, machine(folder, careless=careless) as one:
            _live(one, tally, is_over, careless, report)
    return tally


def _live(
    one: Machine,
    tally: Tally,
    is_over: Callable[[], bool],
    careless: frozenset[Part],
    report: Callable[[str], None],
) -> None:
    """Play the rounds of one machine; at their end its spool must go to Redis completely."""
    known: set[str] = set()
    assert one.power_on(tally.seed + tally.rounds), "Redis starts on an empty disk"
    is_readable = True
    for _ in range(LOSSES_OF_A_MACHINE):
        if is_over() or not is_readable:
            break
        dice = Random(f"{tally.seed} {tally.rounds}")
        before, kills = one.sent, tally.kills
        story = _round(one, dice, tally, careless)
        tally.rounds += 1
        is_readable = one.power_on(tally.seed + tally.rounds)
        in_redis, in_spool = one.in_redis() if is_readable else set(), one.in_spool()
        missing = one.acknowledged.keys() - in_redis - in_spool - known
        known |= missing
        tally.missing += sorted(one.acknowledged[event] for event in missing)
        tally.sent += one.sent - before
        only = len(one.acknowledged.keys() & in_spool - in_redis)
        tally.from_spool += only
        report(
            f"round {tally.rounds}: {story}; {one.sent - before} sent, {tally.kills - kills} kills, "
            f"{only} only in the spool, {len(missing)} missing"
            + ("" if is_readable else ", and Redis does not start on what is left")
        )
    if is_readable:
        one.start_ingest()
        wait_until(lambda: not one.in_spool(), timeout=60, message="the spool is drained")
        gone = one.acknowledged.keys() - one.in_redis() - known
        tally.missing += sorted(one.acknowledged[event] for event in gone)
    tally.acknowledged += len(one.acknowledged)


def _round(one: Machine, dice: Random, tally: Tally, careless: frozenset[Part]) -> str:
    """Let a machine run for a while, with or without Redis, and cut its power; return what happened, in words."""
    story = []
    one.start_ingest()
    with one.traffic():
        time.sleep(dice.uniform(0.02, LONGEST))
        if "ingest" in careless or ("redis" not in careless and dice.random() < 0.6):
            one.redis.kill()
            tally.kills += 1
            time.sleep(dice.uniform(0.02, LONGEST))
            story.append("Redis killed")
            if "ingest" not in careless and dice.random() < 0.5:
                one.redis.start()
                time.sleep(dice.uniform(0.02, LONGEST))
                story.append("and back")
        is_up = not story or story[-1] != "Redis killed"
        if not careless and is_up and dice.random() < 0.25:
            one.kill_ingest()
            one.start_ingest()
            tally.kills += 1
            time.sleep(dice.uniform(0.02, LONGEST))
            story.append("ingest killed and back")
        one.lose_power(dice)
    return ", ".join(story) or "nothing killed"
