"""What an ingest process publishes of itself for the operator's page."""

import json
from collections.abc import Callable
from typing import Any

import redis

from ackfirst.shared.queue import keys
from tests.support.factories import inbound_message
from tests.support.ingest import running_ingest
from tests.support.waiting import await_until

BODY = json.dumps(inbound_message()).encode()


def published(client: redis.Redis) -> Callable[[], list[dict[str, Any]]]:
    def read() -> list[dict[str, Any]]:
        names = [name.decode() for name in client.zrange(keys.INGEST_PROCESSES, 0, -1)]
        texts = client.mget([keys.ingest_figures(name) for name in names]) if names else []
        return [json.loads(text) for text in texts if text]

    return read


async def test_answers_of_the_last_minute_are_published_within_seconds(redis_url: str, redis_sync: redis.Redis) -> None:
    read = published(redis_sync)
    async with running_ingest(redis_url) as ingest:
        await await_until(lambda: bool(read()))
        await ingest.post_signed(BODY)
        await ingest.post_signed(BODY)
        await ingest.send("GET", "/nowhere")
        await await_until(lambda: read()[0]["refused"] == 1)  # published with what came before it
        (figures,) = read()
    assert figures["answers"]["verified"] == 1
    assert figures["answers"]["duplicate"] == 1
    assert sum(count for _, count in figures["ack"]) == 2
    assert sum(figures["steps"]) == 2
    assert (figures["gauges"]["spool_records"], figures["findings"]) == (0, [])
    (name,) = redis_sync.zrange(keys.INGEST_PROCESSES, 0, -1)
    assert 0 < redis_sync.ttl(keys.ingest_figures(name.decode())) <= 10
