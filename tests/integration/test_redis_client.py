"""Clients for every kind of URL, and the message when no server answers there."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
import redis.asyncio
import redis.sentinel

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.redis.client import async_redis, reachable, sync_redis
from tests.support.ports import free_port
from tests.support.redis_process import RedisProcess


def test_a_sync_client_speaks_to_the_server_of_its_url(redis_url: str) -> None:
    with sync_redis(redis_url) as client:
        assert client.set("a", "1")
        assert client.get("a") == b"1"


async def test_an_async_client_speaks_to_the_server_of_its_url(redis_url: str) -> None:
    async with async_redis(redis_url) as client:
        assert await client.set("a", "1")
        assert await client.get("a") == b"1"


@pytest.mark.parametrize("url", ["unix:///run/redis.sock", "redis://127.0.0.1:6379", "rediss://127.0.0.1:6379"])
@pytest.mark.parametrize(
    "command",
    [
        ("EVALSHA", "f" * 40, 1, "key", b"\xff\x00", "Tea & cake = café?", -7, 1.5, "", b"x" * 20_000),
        ("CONFIG GET", "maxmemory"),
        (b"CLIENT SETINFO", "LIB-NAME", "x"),
        ("PING",),
    ],
    ids=["all kinds of arguments", "two words", "two words as bytes", "no arguments"],
)
def test_an_async_client_sends_the_bytes_that_redis_py_would_send(url: str, command: tuple[Any, ...]) -> None:
    ours = async_redis(url).connection_pool.make_connection()
    assert isinstance(ours, redis.asyncio.connection.AbstractConnection)
    assert b"".join(ours.pack_command(*command)) == b"".join(redis.asyncio.Connection().pack_command(*command))


@pytest.mark.parametrize("argument", [None, ["a"], {"a": 1}])
async def test_what_redis_cannot_hold_is_refused_before_it_is_sent(redis_url: str, argument: Any) -> None:
    async with async_redis(redis_url) as client:
        with pytest.raises(redis.DataError):
            await client.set("a", argument)
        assert await client.set("a", "1")


async def test_more_callers_than_connections_wait_their_turn(redis_url: str) -> None:
    async with async_redis(f"{redis_url}?client_name=crowd", max_connections=2) as client:
        await asyncio.gather(*(client.incr("a") for _ in range(200)))
        assert await client.get("a") == b"200"
        assert [peer["name"] for peer in await client.client_list()].count("crowd") == 2


def test_a_socket_may_lie_in_a_folder_with_spaces(redis_folder: Path) -> None:
    folder = redis_folder / "a folder@home"
    folder.mkdir()
    server = RedisProcess(folder).start()
    try:
        assert quote(str(folder)) in server.url
        reachable(server.url)
        with sync_redis(f"{server.url}?db=1") as client:
            assert client.ping()
            assert client.connection_pool.connection_kwargs["db"] == 1
    finally:
        server.kill()


def test_a_server_behind_a_password_is_reached_with_it_only(redis_folder: Path) -> None:
    server = RedisProcess(redis_folder).start()
    try:
        with server.client() as client:
            client.config_set("requirepass", "hunter2")
        reachable(f"{server.url}?password=hunter2")
        with pytest.raises(ConfigurationError, match="check ACKFIRST_REDIS_URL") as caught:
            reachable(f"{server.url}?password=wrong-one")
        assert "wrong-one" not in str(caught.value)
        with pytest.raises(ConfigurationError, match="check ACKFIRST_REDIS_URL"):
            reachable(server.url)
    finally:
        server.kill()


def test_a_port_where_nobody_listens_is_one_sentence() -> None:
    url = f"redis://:hunter2@127.0.0.1:{free_port()}/0"
    with pytest.raises(ConfigurationError) as caught:
        reachable(url)
    message = str(caught.value)
    assert message.startswith("cannot reach Redis at redis://•••@127.0.0.1:")
    assert message.endswith("refused, check ACKFIRST_REDIS_URL")
    assert "hunter2" not in message
    assert "\n" not in message


def test_a_server_that_does_not_answer_is_given_up_in_time(own_redis: RedisProcess) -> None:
    own_redis.pause()
    with pytest.raises(ConfigurationError, match=r"(?i)timeout.*check ACKFIRST_REDIS_URL"):
        reachable(own_redis.url, timeout=0.3)
    own_redis.resume()
    reachable(own_redis.url)


def test_sentinels_that_nobody_runs_are_one_sentence() -> None:
    with pytest.raises(ConfigurationError, match="check ACKFIRST_REDIS_URL"):
        reachable(f"redis+sentinel://127.0.0.1:{free_port()}/mymaster/0", timeout=0.5)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2/x@cache:6379/0",
        "redis://:hunter2[@cache:6379/0",
        "redis://:hunter2@cache:port/0",
        "redis://:hunter2@cache?socket_timeout=hunter2",
        "redis://:hunter2@cache?no_such_option=hunter2",
        "unix://run/hunter2@s",
        "redis+sentinel://:hunter2@one",
        "redis+sentinel://:hunter2@one/m/hunter2",
        "redis+sentinel://:hunter2@one/m?no_such_option=1",
        "redis://:hunter2@cache/queue",
        "redis://:hunter2@cache?max_connections=1",
        "rediss://:hunter2@cache?ssl_cert_reqs=CERT_NONE",
        "http://:hunter2@cache",
    ],
)
@pytest.mark.parametrize("make", [sync_redis, async_redis])
def test_a_url_that_cannot_be_understood_is_refused_without_its_password(
    make: Callable[[str], object], url: str
) -> None:
    with pytest.raises(ConfigurationError, match="check ACKFIRST_REDIS_URL") as caught:
        make(url)
    assert ":hunter2" not in str(caught.value)
    assert "hunter2@" not in str(caught.value)


def test_what_the_url_says_wins_over_the_default_timeout() -> None:
    pool = sync_redis("redis://cache/3?socket_timeout=2", timeout=5).connection_pool
    assert pool.connection_kwargs["socket_timeout"] == 2
    assert pool.connection_kwargs["socket_connect_timeout"] == 5
    assert pool.connection_kwargs["db"] == 3


def test_a_sentinel_url_makes_a_client_of_the_master_that_the_sentinels_name() -> None:
    client = sync_redis("redis+sentinel://app:pw@one:1,two:2/mymaster/3?sentinel_password=spw&ssl=true", timeout=2)
    pool = client.connection_pool
    assert isinstance(pool, redis.sentinel.SentinelConnectionPool)
    assert pool.service_name == "mymaster"
    assert pool.connection_class is redis.sentinel.SentinelManagedSSLConnection
    assert {name: pool.connection_kwargs[name] for name in ("db", "username", "password", "socket_timeout")} == {
        "db": 3,
        "username": "app",
        "password": "pw",
        "socket_timeout": 2,
    }
    asked = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    assert [(kwargs["host"], kwargs["port"], kwargs["password"]) for kwargs in asked] == [
        ("one", 1, "spw"),
        ("two", 2, "spw"),
    ]


def test_a_tls_url_makes_tls_connections() -> None:
    pool = sync_redis("rediss://cache:6380/0?ssl_ca_certs=/ca.pem").connection_pool
    assert pool.connection_class is redis.SSLConnection
    assert pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"


async def test_an_async_sentinel_client_is_one_of_the_master() -> None:
    client = async_redis("redis+sentinel://:pw@one/mymaster/1")
    assert client.connection_pool.service_name == "mymaster"
    assert client.connection_pool.connection_kwargs["db"] == 1
