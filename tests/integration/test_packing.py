"""Packing by hiredis sends what redis-py's own packing sends, and refuses what it refuses."""

import pytest
from redis.asyncio.connection import Connection
from redis.exceptions import DataError

from ackfirst.shared.redis.client import async_redis
from ackfirst.shared.redis.packing import packed_by_hiredis


@pytest.mark.parametrize(
    "command",
    [
        ("EVALSHA", "f" * 40, 1, "key", b"\xff\x00", "Tea & cake = café?", -7, 1.5, ""),
        ("CONFIG GET", "maxmemory"),
        (b"CLIENT SETINFO", "LIB-NAME", "x"),
        ("PING",),
    ],
    ids=["all kinds of arguments", "two words", "two words as bytes", "no arguments"],
)
def test_the_bytes_on_the_wire_are_the_same(command: tuple[object, ...]) -> None:
    packed = packed_by_hiredis(Connection)()
    assert b"".join(packed.pack_command(*command)) == b"".join(Connection().pack_command(*command))


@pytest.mark.parametrize("argument", [None, [1], {"a": 1}])
def test_what_redis_cannot_hold_is_a_data_error(argument: object) -> None:
    with pytest.raises(DataError):
        packed_by_hiredis(Connection)().pack_command("SET", "key", argument)


async def test_a_client_of_ours_packs_that_way_and_is_understood(redis_url: str) -> None:
    client = async_redis(redis_url)
    assert client.connection_pool.connection_class.__name__.startswith("Packed")
    async with client:
        await client.hset("hash", mapping={"raw": b"\xff\x00", "number": 7, "text": "é"})
        assert await client.hgetall("hash") == {b"raw": b"\xff\x00", b"number": b"7", b"text": "é".encode()}
        assert (await client.config_get("appendfsync")) == {"appendfsync": "always"}
