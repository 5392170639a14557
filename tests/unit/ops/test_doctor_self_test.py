"""The self-test of ``ackfirst doctor`` when something goes away in the middle of it."""

import redis
from aiohttp import web
from aiohttp.test_utils import TestServer

from ackfirst.ops.doctor.edge import self_test
from ackfirst.shared.accounts import Account

ACCOUNT = Account(api_key="abcd1234", secrets=(b"x" * 32,))


class GoneRedis(redis.Redis):
    """A Redis that ends before it is asked."""

    def execute_command(self, *_: object, **__: object) -> None:
        raise redis.ConnectionError("Connection refused")


async def answered(status: int) -> list[tuple[str, str]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    async with TestServer(app) as server:
        found = await self_test(
            str(server.make_url("")).rstrip("/"), ACCOUNT, GoneRedis(), nonce="n", now=0.0, say=lambda _: None
        )
    return [(one.id, one.what) for one in found]


async def test_a_redis_that_goes_away_meanwhile_is_a_finding_and_no_traceback() -> None:
    [(id_, what)] = await answered(200)
    assert id_ == "self-test"
    assert "then Redis did not answer (Connection refused)" in what


async def test_another_answer_than_200_is_a_finding() -> None:
    [(id_, what)] = await answered(401)
    assert (id_, "was answered 401" in what) == ("self-test", True)
