"""Faults of Redis: each is the real server's own doing, but for the slow and the broken connection."""

import time

from redis import Redis

from tests.chaos.fault import Fault
from tests.chaos.load import Load
from tests.chaos.world import World
from tests.support.waiting import wait_until


def _restart(world: World, load: Load) -> None:
    for share in (0.3, 0.6):
        load.wait_for(share)
        with world.redis_away():
            time.sleep(0.5)


def _outage(world: World, load: Load) -> None:
    load.wait_for(0.3)
    with world.redis_away():
        time.sleep(5.0)


def _freeze(world: World, load: Load) -> None:
    world.redis.pause()
    time.sleep(10.0)
    world.redis.resume()


def _fill(world: World, load: Load) -> None:
    with world.redis.client() as client:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 65_536)
        time.sleep(4.0)
        client.config_set("maxmemory", 0)


def _read_only(world: World, load: Load) -> None:
    with world.redis.client() as client:
        client.replicaof("127.0.0.1", 1)  # no server is there, so it keeps its data
        time.sleep(4.0)
        client.replicaof("NO", "ONE")


def _loading(world: World, load: Load) -> None:
    load.wait_for(0.4)
    world.redis.kill()
    _slow_to_load(world)


def _slow_to_load(world: World) -> None:
    """Start again, and be ``LOADING`` for seconds: the server itself can be told to take its time for each command."""
    options = world.redis.options
    options |= {"key-load-delay": "250", "loading-process-events-interval-bytes": "1024"}
    try:
        world.redis.start()
    finally:
        del options["key-load-delay"], options["loading-process-events-interval-bytes"]


def _slow(world: World, load: Load) -> None:
    assert world.proxy
    world.proxy.delay = 1.0
    time.sleep(5.0)
    world.proxy.delay = 0.0


def _cut(world: World, load: Load) -> None:
    assert world.proxy
    until = time.monotonic() + 3.0
    for size in (500, 3_000, 20_000, 777) * 100:
        if time.monotonic() > until:
            break
        world.proxy.cut_after = size
        time.sleep(0.1)
        world.proxy.reset_all()
    world.proxy.cut_after = None


def _tear(world: World, load: Load) -> None:
    load.wait_for(0.4)
    world.redis.kill()
    tail = max((world.redis.folder / "appendonlydir").glob("*.incr.aof"), key=lambda file: file.stat().st_mtime)
    with tail.open("ab") as file:  # the beginning of a write whose success was never reported
        file.write(b"*3\r\n$3\r\nSET\r\n$9\r\nnever-t")
    world.redis.start()


def _is_back(client: Redis) -> bool:
    return bool(client.ping())


def _failover_of_nothing(world: World, load: Load) -> None:
    """Every script is forgotten, as on a server that has taken over."""
    for share in (0.3, 0.5, 0.7):
        load.wait_for(share)
        with world.redis.client() as client:
            wait_until(lambda client=client: _is_back(client))
            client.script_flush()


FAULTS = (
    Fault(
        name="redis-kill-9",
        about="kill -9 of Redis and restart half a second later, twice",
        strike=_restart,
        ack_p99=150.0,
        again=1,
        lasts=1.0,
        quick=True,
    ),
    Fault(name="redis-outage", about="Redis is away for 5 s", strike=_outage, lasts=5.0, again=1),
    Fault(name="redis-sigstop", about="Redis is stopped for 10 s and goes on", strike=_freeze, lasts=10.0, again=1),
    Fault(
        name="redis-oom",
        about="Redis is out of memory for 4 s",
        strike=_fill,
        lasts=4.0,
        again=1,
    ),
    Fault(
        name="redis-readonly",
        about="Redis becomes a read-only replica for 4 s",
        strike=_read_only,
        lasts=4.0,
        again=1,
    ),
    Fault(name="redis-loading", about="Redis restarts and takes seconds to load", strike=_loading, lasts=4.0, again=1),
    Fault(
        name="redis-slow",
        about="every answer of Redis is a second late, for 5 s",
        strike=_slow,
        lasts=5.0,
        proxied=True,
        again=1,
    ),
    Fault(
        name="redis-reset",
        about="connections to Redis are reset in the middle of a command, again and again for 3 s",
        strike=_cut,
        lasts=3.0,
        proxied=True,
        again=5,
    ),
    Fault(
        name="redis-torn-aof",
        about="kill -9 of Redis leaves the beginning of an unconfirmed write at the end of its AOF",
        strike=_tear,
        lasts=1.0,
        again=1,
    ),
    Fault(
        name="redis-script-flush",
        about="Redis forgets every script, three times",
        strike=_failover_of_nothing,
    ),
)
