"""What the preflight says of real servers, safe and unsafe."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from ackfirst.shared.redis.preflight import Finding, inspect
from tests.support.redis_process import RedisProcess


@pytest.fixture
def server(redis_folder: Path) -> Iterator[Callable[..., RedisProcess]]:
    """Start a server with options of the test's own."""
    started: list[RedisProcess] = []

    def start(**options: str) -> RedisProcess:
        started.append(RedisProcess(redis_folder, **{name.replace("_", "-"): text for name, text in options.items()}))
        return started[-1].start()

    yield start
    for process in started:
        process.kill()


def findings(client: redis.Redis) -> dict[str, Finding]:
    return {finding.setting: finding for finding in inspect(client)}


def test_a_safe_server_has_no_findings(redis_sync: redis.Redis) -> None:
    assert inspect(redis_sync) == []


def test_a_server_that_forgets_is_found_out(server: Callable[..., RedisProcess]) -> None:
    with server(appendonly="no", maxmemory_policy="allkeys-lru").client() as client:
        found = findings(client)
    assert set(found) == {"appendonly", "maxmemory-policy"}
    assert (found["appendonly"].found, found["appendonly"].wanted) == ("no", "yes")
    assert (found["maxmemory-policy"].found, found["maxmemory-policy"].wanted) == ("allkeys-lru", "noeviction")


def test_a_server_that_syncs_once_a_second_is_found_out(server: Callable[..., RedisProcess]) -> None:
    with server(appendfsync="everysec").client() as client:
        (finding,) = inspect(client)
    assert str(finding) == (
        "Redis: appendfsync is everysec, wanted is always: a power failure loses the last acknowledged callbacks"
    )


def test_a_server_that_is_nearly_full_is_found_out(own_redis: RedisProcess) -> None:
    with own_redis.client() as client:
        for number in range(200):  # small writes: the buffer of one large write counts as used, until it is freed
            client.set(f"filler:{number}", b"x" * 100_000)
        used = client.info()["used_memory"]
        client.config_set("maxmemory", used * 2)
        assert inspect(client) == []
        client.config_set("maxmemory", int(used / 0.9))
        (finding,) = inspect(client)
    assert finding.setting == "used_memory"
    assert finding.found.endswith("% of maxmemory")
    assert finding.wanted == "less than 80%"


def test_where_config_is_forbidden_the_finding_says_what_is_not_known(own_redis: RedisProcess) -> None:
    with own_redis.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-config")
        (finding,) = inspect(client)
    assert (finding.setting, finding.found, finding.wanted) == ("appendfsync", "not readable", "always")


def test_where_everything_is_forbidden_the_finding_says_so(own_redis: RedisProcess) -> None:
    with own_redis.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-config", "-info")
        (finding,) = inspect(client)
    assert (finding.setting, finding.found) == ("INFO", "not readable")


def test_a_server_that_is_gone_is_a_finding_not_an_exception(own_redis: RedisProcess) -> None:
    with own_redis.client() as client:
        own_redis.kill()
        (finding,) = inspect(client)
    assert finding.found == "not readable"


def test_an_old_server_is_found_out(redis_sync: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {**redis_sync.info(), "redis_version": "6.0.16"}
    monkeypatch.setattr(redis_sync, "info", lambda: answer)
    (finding,) = inspect(redis_sync)
    assert (finding.setting, finding.found, finding.wanted) == ("version", "6.0.16", "6.2 or newer")
