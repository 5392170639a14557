"""Destroy the machine of Redis's master under load, its disk included, and count what was acknowledged and is gone.

Master, replica and Sentinel are processes. The link from the master to its replica is slow by ``LAG_SECONDS``: what was
on its way is lost with the machine, as with a machine of one's own in another rack.
"""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Final

import redis

from ackfirst.shared.queue import keys
from ackfirst.simulator.report import latency
from ackfirst.simulator.rules import OK
from tests.chaos.ledger import acknowledged, stock
from tests.chaos.load import Kind, Load, Shape
from tests.chaos.proxy import Proxy
from tests.support.folders import new_short_folder
from tests.support.ports import free_port
from tests.support.processes import Cli
from tests.support.sentinel import Watched
from tests.support.spooled import spooled_records
from tests.support.stack import settings
from tests.support.waiting import wait_until

#: Seconds by which the replica is behind its master.
LAG_SECONDS: Final = 0.04

RATE: Final = 150.0
SECONDS: Final = 9.0


class Guard(StrEnum):
    """What is done against the loss."""

    NONE = "none"
    MIN_REPLICAS = "min-replicas-to-write 1"
    WAIT = "ACKFIRST_REDIS_REPLICAS=1"


_LINES: Final = {Guard.MIN_REPLICAS: "min-replicas-to-write 1\nmin-replicas-max-lag 2\n"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one drill has come to."""

    guard: Guard
    seed: int
    sent: int
    acknowledged: int
    missing: int
    answers: Mapping[str, int]
    """Status of the first answers to genuine callbacks → how many."""
    p50: float
    p99: float
    """Milliseconds to the first answer, failover included."""
    failover: float
    """Seconds from the loss to the new master's election."""

    def __str__(self) -> str:
        return (
            f"{self.guard}: {self.sent} sent, {self.acknowledged} acknowledged, missing {self.missing}, "
            f"answers {dict(self.answers)}, p50 {self.p50:.1f} p99 {self.p99:.1f} ms, "
            f"new master after {self.failover:.1f} s, seed {self.seed}"
        )


def play(guard: Guard, *, seed: int) -> Outcome:
    """Destroy the master once."""
    with new_short_folder(prefix="lost-") as folder:
        return _play(folder, guard, seed)


def _play(folder: Path, guard: Guard, seed: int) -> Outcome:
    with ExitStack() as stack:
        address = free_port()
        servers = Watched(folder, lines=_LINES.get(guard, ""), address=address)
        network = stack.enter_context(Proxy(address, servers.servers[0], slow_replicas=True))
        stack.enter_context(servers)
        network.delay = LAG_SECONDS
        port = free_port()
        env = {
            **settings(servers.url, folder),
            "ACKFIRST_LISTEN": f"127.0.0.1:{port}",
            "ACKFIRST_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
            "ACKFIRST_REDIS_REPLICAS": "1" if guard is Guard.WAIT else "0",
        }
        ingest = stack.enter_context(Cli("ingest", cwd=folder, env=env, name="ingest"))
        ingest.wait_for_output("ingest.listening", timeout=60)
        load = Load(f"http://127.0.0.1:{port}", Kind.STEADY, Shape(RATE, SECONDS), lasts=0, duplicates=0.02, seed=seed)
        load.start()
        load.wait_for(0.15)
        time.sleep(Random(seed).uniform(0.0, 0.5))
        network.cut_off()
        servers.destroy(servers.servers[0])
        destroyed = time.monotonic()
        wait_until(lambda: servers.master == servers.servers[1], timeout=60, message="the replica is promoted")
        failover = time.monotonic() - destroyed
        if guard is not Guard.NONE:  # the new master has no replica: a new machine takes the place of the lost one
            servers.add_replica()
        deliveries = [delivery for result in load.join() for delivery in result.deliveries]
        wait_until(lambda: not spooled_records(folder / "data"), timeout=60, message="the spool is drained")
        acked = acknowledged(deliveries)
        with servers.client(servers.master) as client:
            missing = acked.keys() - _held(client, list(acked))
    first = [delivery.attempts[0] for delivery in deliveries if not delivery.planned.kind.is_forged]
    times = latency([attempt.seconds for attempt in first if attempt.status == OK])
    assert times
    return Outcome(
        guard=guard,
        seed=seed,
        sent=len(deliveries),
        acknowledged=len(acked),
        missing=len(missing),
        answers={str(status or "none"): count for status, count in Counter(one.status for one in first).items()},
        p50=times.p50,
        p99=times.p99,
        failover=failover,
    )


def _held(client: redis.Redis, events: list[str]) -> set[str]:
    with client.pipeline(transaction=False) as pipeline:
        for event in events:
            pipeline.exists(keys.job(event))
        there = pipeline.execute()
    return {event for event, exists in zip(events, there, strict=True) if exists} | set(stock(client).quarantined)
