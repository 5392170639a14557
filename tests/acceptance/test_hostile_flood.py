"""A flood of forgeries of every kind: Redis, metrics, log and memory stay bounded, and genuine ones get through.

``TEST_HOSTILE=100000`` is the whole flood.
"""

import asyncio
import json
import os
import random
import re
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.support.factories import inbound_message
from tests.support.nexmo import compose, signed_headers, token
from tests.support.ports import free_port
from tests.support.processes import Cli
from tests.support.redis_process import RedisProcess
from tests.support.stack import settings

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = int(os.environ.get("TEST_HOSTILE", "3000"))
#: One in so many requests is genuine.
GENUINE = 100
AT_ONCE = 64
PATHS = ("/webhooks/inbound-message", "/webhooks/message-status", "/webhooks/inbound-sms", "/webhooks/delivery-receipt")

#: What may be left behind: quarantine's own bounds are the settings' (10,000 records, 64 MiB).
MOST_KEYS_BESIDES = 40
MOST_SERIES = 120
MOST_MEMORY = 120_000_000
MOST_LOG_BYTES = 1_200

Request = tuple[str, str, dict[str, str], bytes]


def text(dice: random.Random, most: int) -> str:
    return dice.randbytes(dice.randrange(1, most)).hex()


def hostile(dice: random.Random) -> Request:
    """One request of one of the kinds, every part of it chance."""
    path = dice.choice(PATHS)
    body = json.dumps(inbound_message(message_uuid=text(dice, 20), text=text(dice, 60))).encode()
    plain = {"Content-Type": "application/json"}
    kinds: tuple[Callable[[], Request], ...] = (
        # A token of noise; a complete one of an account that is not ours; of ours, with a wrong secret.
        lambda: ("POST", path, {**plain, "Authorization": f"Bearer {text(dice, 300)}"}, body),
        lambda: ("POST", path, signed_headers(body, api_key=text(dice, 5), secret=text(dice, 16)), body),
        lambda: ("POST", path, signed_headers(body, secret=text(dice, 16)), body),
        # One that says it needs no signature; a genuine one over another body.
        lambda: ("POST", path, {**plain, "Authorization": f"Bearer {unsigned(dice)}"}, body),
        lambda: ("POST", path, {**plain, "Authorization": f"Bearer {token(b'{}')}"}, body),
        # Any path and any query; headers as large as they can be.
        lambda: ("POST", f"/{text(dice, 40)}?{urlencode({text(dice, 9): text(dice, 90)})}", {}, b""),
        lambda: ("POST", path, {f"X-{text(dice, 6)}": text(dice, 3500) for _ in range(3)}, body),
        # Parameters with a sig that nobody made; a body of noise without any token.
        lambda: ("GET", f"/webhooks/inbound-sms?{urlencode(parameters(dice))}", {}, b""),
        lambda: ("POST", path, {"Content-Type": text(dice, 30)}, dice.randbytes(dice.randrange(5000))),
    )
    return dice.choice(kinds)()


def unsigned(dice: random.Random) -> str:
    return compose({"alg": "none"}, {"api_key": text(dice, 5)}, secret="")


def parameters(dice: random.Random) -> dict[str, str]:
    sms = {"msisdn": text(dice, 6), "messageId": text(dice, 8), "sig": dice.randbytes(16).hex()}
    return {**sms, text(dice, 9): text(dice, 50)}


async def flood(url: str, count: int, seed: int) -> tuple[dict[int, int], list[float], list[int]]:
    """Status → how many; the seconds and the statuses of the genuine ones between them."""
    dice = random.Random(seed)
    numbers = iter(range(count))
    statuses: dict[int, int] = {}
    seconds: list[float] = []
    genuine: list[int] = []
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE), timeout=timeout) as session:

        async def send(request: Request) -> int:
            method, path, headers, body = request
            try:
                async with session.request(method, url + path, headers=headers, data=body or None) as answer:
                    await answer.read()
                    return answer.status
            except aiohttp.ClientError:  # cut off: that is an answer too
                return 0

        async def work() -> None:
            for number in numbers:
                if number % GENUINE == 0:
                    body = json.dumps(inbound_message(message_uuid=f"genuine-{seed}-{number}")).encode()
                    began = time.perf_counter()
                    genuine.append(await send(("POST", PATHS[0], signed_headers(body), body)))
                    seconds.append(time.perf_counter() - began)
                else:
                    status = await send(hostile(dice))
                    statuses[status] = statuses.get(status, 0) + 1

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return statuses, sorted(seconds), genuine


def measure(server: RedisProcess, admin_port: int, pid: int, log: Path) -> dict[str, int]:
    with server.client() as client:
        redis_keys, redis_bytes = client.dbsize(), client.info("memory")["used_memory"]
    with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/metrics", timeout=10) as answer:
        series = sum(not line.startswith("#") for line in answer.read().decode().splitlines())
    found: Any = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    resident = int(found[1]) * 1024
    return {
        "redis_keys": int(redis_keys),
        "redis_bytes": int(redis_bytes),
        "series": series,
        "resident": resident,
        "log_bytes": log.stat().st_size,
    }


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.timeout(900)
def test_a_flood_of_forgeries_leaves_nothing_behind(own_redis: RedisProcess, tmp_path: Path) -> None:
    port, admin_port = free_port(), free_port()
    env = {
        **settings(own_redis.url, tmp_path, ACKFIRST_ACK_DEADLINE="5"),
        "ACKFIRST_LISTEN": f"127.0.0.1:{port}",
        "ACKFIRST_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
    }
    with Cli("ingest", cwd=tmp_path, env=env, name="ingest") as ingest:
        ingest.wait_for_output("ingest.listening", timeout=30)
        asyncio.run(flood(f"http://127.0.0.1:{port}", 300, seed=1))  # so that everything is loaded and warm
        before = measure(own_redis, admin_port, ingest.process.pid, ingest.output_file)
        statuses, seconds, genuine = asyncio.run(flood(f"http://127.0.0.1:{port}", COUNT, seed=2))
        after = measure(own_redis, admin_port, ingest.process.pid, ingest.output_file)
        assert ingest.terminate() == 0
    p99 = seconds[int(len(seconds) * 0.99)] * 1000
    print(  # noqa: T201 - the figures that count
        f"{COUNT} requests, answers {dict(sorted(statuses.items()))}, {len(genuine)} genuine, all 200: "
        f"{set(genuine) == {200}}, p99 {p99:.1f} ms; "
        + "; ".join(f"{name} {before[name]:,} -> {after[name]:,}" for name in before)
    )
    assert set(genuine) == {200}
    assert set(statuses) <= {0, 200, 400, 401, 404, 405, 413, 429, 431, 503}
    assert after["redis_keys"] - before["redis_keys"] <= 2 * len(genuine) + MOST_KEYS_BESIDES
    assert after["series"] - before["series"] <= MOST_SERIES
    assert after["resident"] - before["resident"] <= MOST_MEMORY
    assert (after["log_bytes"] - before["log_bytes"]) / COUNT <= MOST_LOG_BYTES
