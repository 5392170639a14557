"""Check the Redis server: can it lose or refuse what is acknowledged, and is it quick enough."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import redis

from ackfirst.shared.findings import Findings, error, warning
from ackfirst.shared.plural import plural
from ackfirst.shared.redis.preflight import inspect

#: Round trips of which the median is taken.
SAMPLES: Final = 20
#: Seconds for one round trip above which the ack deadline is at risk.
SLOW_SECONDS: Final = 0.02
#: Seconds for one durable write above which the ack deadline is at risk.
SLOW_WRITE_SECONDS: Final = 0.05

#: Seconds that a replica may lag behind; it reports once a second.
REPLICA_LAG_SECONDS: Final = 10

#: A key of our own, written to measure what a durable write costs. It expires at once.
_PROBE: Final = "ackfirst:doctor"

#: Setting that ``preflight`` names → id of the finding.
IDS: Final[Mapping[str, str]] = {
    "INFO": "redis-unreadable",
    "version": "redis-version",
    "maxmemory-policy": "redis-eviction",
    "appendonly": "redis-aof",
    "appendfsync": "redis-fsync",
    "used_memory": "redis-memory",
}
_FIXES: Final[Mapping[str, str]] = {
    "redis-version": "install a newer Redis or Valkey",
    "redis-eviction": "redis-cli config set maxmemory-policy noeviction, and set it in redis.conf",
    "redis-aof": "redis-cli config set appendonly yes, and set it in redis.conf",
    "redis-fsync": "redis-cli config set appendfsync always, and set it in redis.conf",
    "redis-memory": "raise maxmemory, or start more workers",
}


def redis_findings(client: redis.Redis, *, replicas: int = 0) -> Findings:
    """Yield what is wrong with a server that answers.

    Args:
        client: The server.
        replicas: How many replicas must have a callback before it is answered 200.

    Raises:
        RedisError: It does not answer any more.
    """
    for found in inspect(client):
        id_ = IDS.get(found.setting, "redis-setting")
        make = warning if found.is_safe else error
        yield make(id_, str(found), _FIXES.get(id_, "see docs/deployment.md on Redis"))
    yield from _persistence(client)
    yield from _replicas(client, replicas)
    yield from _speed(client)


def _persistence(client: redis.Redis) -> Findings:
    info: Mapping[str, Any] = client.info("persistence")
    for field in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"):
        if info.get(field, "ok") != "ok":
            yield error(
                "redis-persistence",
                f"Redis could not write to its disk ({field} is {info[field]}): acknowledged callbacks may be lost",
                "make room on the disk of Redis, and look at its log",
            )
            return


def _replicas(client: redis.Redis, wanted: int) -> Findings:
    info: Mapping[str, Any] = client.info("replication")
    found = [info[f"slave{number}"] for number in range(int(info.get("connected_slaves", 0)))]
    current = [one for one in found if one.get("state") == "online" and int(one.get("lag", 0)) <= REPLICA_LAG_SECONDS]
    if len(current) < wanted:
        yield error(
            "redis-replicas",
            f"{len(current)} of {wanted} replicas of Redis keep up: callbacks go to the spool on disk meanwhile",
            "start the missing replicas, or lower ACKFIRST_REDIS_REPLICAS",
        )
    elif len(current) < len(found):
        yield warning(
            "redis-replicas",
            f"{len(found) - len(current)} of {plural(len(found), 'replica')} of Redis behind the master: "
            "a failover may lose events",
            "look at the network and the log of the replica",
        )


def _speed(client: redis.Redis) -> Findings:
    answer = _median(client.ping)
    if answer > SLOW_SECONDS:
        yield warning(
            "redis-slow",
            f"Redis answers in {answer * 1000:.0f} ms; every callback waits for it",
            "move ingest nearer to Redis, and look for slow commands: redis-cli slowlog get",
        )
        return
    try:
        write = _median(lambda: client.set(_PROBE, b"", px=1))
    except redis.ResponseError as refusal:
        yield error(
            "redis-refuses-writes",
            f"Redis takes no writes ({refusal}): callbacks are spooled on disk, and workers stand still",
            "make room in Redis or on its disk; a replica takes none: check ACKFIRST_REDIS_URL",
        )
        return
    if write > SLOW_WRITE_SECONDS:
        yield warning(
            "redis-fsync-slow",
            f"one durable write takes Redis {write * 1000:.0f} ms, a reply {answer * 1000:.1f} ms: its disk is slow",
            "give Redis a local SSD",
        )


def _median(ask: Callable[[], object]) -> float:
    """Return the median of the seconds that a call takes."""
    seconds = []
    for _ in range(SAMPLES):
        started = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
