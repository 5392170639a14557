"""What ``/metrics`` says while the spool fills, and after Redis has lost its data: alarms are made of it."""

import json
import time
from typing import Any

import redis
from prometheus_client.parser import text_string_to_metric_families

from ackfirst.shared.queue import keys
from tests.support.factories import inbound_message
from tests.support.ingest import Ingest, running_ingest
from tests.support.redis_process import RedisProcess
from tests.support.waiting import await_until


async def values(ingest: Ingest) -> dict[Any, float]:
    text = (await ingest.admin("/metrics")).body.decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


async def test_a_spool_that_fills_says_how_full_it_is_and_that_it_is_full(own_redis: RedisProcess) -> None:
    async with running_ingest(own_redis.url, SPOOL_MAX_BYTES="100000", SPOOL_MAX_AGE="7s") as ingest:
        before = await values(ingest)
        own_redis.kill()

        async def status(number: int) -> int:
            message = inbound_message(message_uuid=f"uuid-{number}", text="x" * 3000)
            return (await ingest.post_signed(json.dumps(message).encode())).status

        answers = [await status(number) for number in range(60)]
        await await_until(lambda: shows(ingest, "ackfirst_spool_unusable", 1))
        found = await values(ingest)
    assert (answers[0], answers[-1]) == (200, 503)
    assert (before["ackfirst_spool_used_ratio",], before["ackfirst_spool_unusable",]) == (0, 0)
    assert 0.8 < found["ackfirst_spool_used_ratio",] <= 1.1
    assert found["ackfirst_spool_max_age_seconds",] == 7
    assert found["ackfirst_callbacks_total", "inbound-message", "unavailable"] == answers.count(503)


async def shows(ingest: Ingest, name: str, value: float) -> bool:
    return (await values(ingest))[name,] == value


def reads(client: redis.Redis) -> int:
    """How often anybody has asked this server for a string."""
    return int(client.info("commandstats")["cmdstat_get"]["calls"])


async def test_the_time_of_a_loss_is_shown_by_its_kind(own_redis: RedisProcess) -> None:
    async with running_ingest(own_redis.url) as ingest:
        lost_at = "ackfirst_redis_data_lost_timestamp_seconds"
        with own_redis.client() as client:
            await await_until(lambda: client.exists(keys.GENERATION))
            seen = reads(client)
            await await_until(lambda: reads(client) > seen + 10, message="ingest knows the marker")
            before = await values(ingest)
            client.set(keys.GENERATION, "another")

        async def is_shown() -> bool:
            return (await values(ingest))[lost_at, "wiped"] > 0

        await await_until(is_shown)
        after = await values(ingest)
    assert (before[lost_at, "wiped"], before[lost_at, "rolled-back"]) == (0, 0)
    assert abs(time.time() - after[lost_at, "wiped"]) < 60
    assert (after[lost_at, "rolled-back"], after["ackfirst_redis_data_losses_total", "wiped"]) == (0, 1)
