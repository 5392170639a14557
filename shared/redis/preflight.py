"""Find settings of a Redis server that could lose or refuse what we acknowledge; checked once at the start."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import redis
from redis.exceptions import RedisError

OLDEST_VERSION: Final = (6, 2)
"""The first with ``LMOVE``, which moves a job to a worker without a moment in which it is in no list."""

HIGH_WATER_SHARE: Final = 0.8
"""Share of ``maxmemory`` above which little room is left for a backlog."""

_UNREADABLE: Final = "it is not known whether an acknowledged callback survives a crash of Redis"


@dataclass(frozen=True, slots=True)
class Finding:
    """One setting of the server with a value that it should not have."""

    setting: str
    found: str
    wanted: str
    consequence: str
    is_safe: bool = False
    """True if it loses nothing that was acknowledged, and ends by itself: no reason to refuse to start."""

    def __str__(self) -> str:
        return f"Redis: {self.setting} is {self.found}, wanted is {self.wanted}: {self.consequence}"


def inspect(client: redis.Redis) -> list[Finding]:
    """Return what could cost events on this server; an empty list if nothing could.

    A managed service may forbid ``CONFIG``: a setting that cannot be read is a finding that says so. Never raises a
    driver's exception.
    """
    info = _read(client.info)
    if not info:
        return [Finding("INFO", "not readable", "readable", _UNREADABLE)]
    return [*_version(info), *_eviction(info), *_persistence(info, client), *_memory(info)]


def _read(ask: Any, *arguments: str) -> Mapping[str, Any]:
    try:
        answer: Mapping[str, Any] = ask(*arguments)
    except RedisError:
        return {}
    return answer


def _version(info: Mapping[str, Any]) -> Iterator[Finding]:
    found = str(info.get("redis_version", "0"))
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_VERSION:
        wanted = f"{OLDEST_VERSION[0]}.{OLDEST_VERSION[1]} or newer"
        yield Finding("version", found, wanted, "workers cannot take jobs, they need LMOVE")


def _eviction(info: Mapping[str, Any]) -> Iterator[Finding]:
    found = str(info.get("maxmemory_policy", "unknown"))
    if found != "noeviction":
        yield Finding("maxmemory-policy", found, "noeviction", "a full server throws queued events away")


def _persistence(info: Mapping[str, Any], client: redis.Redis) -> Iterator[Finding]:
    if not info.get("aof_enabled"):
        yield Finding("appendonly", "no", "yes", "a crash or restart of Redis loses acknowledged callbacks")
        return
    fsync = _read(client.config_get, "appendfsync").get("appendfsync")
    if fsync is None:
        yield Finding("appendfsync", "not readable", "always", _UNREADABLE)
    elif _text(fsync) != "always":
        yield Finding("appendfsync", _text(fsync), "always", "a power failure loses the last acknowledged callbacks")


def _memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if limit and used >= HIGH_WATER_SHARE * limit:
        yield Finding(
            "used_memory",
            f"{used / limit:.0%} of maxmemory",
            f"less than {HIGH_WATER_SHARE:.0%}",
            "above it new events wait on the disk of ingest",
            is_safe=True,
        )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
