"""Every alert that we ship is brought about once, in a real stack with a real Prometheus, and most of them end again.

The rules are the shipped ones; a minute of theirs lasts ``tests.support.prometheus.MINUTE`` seconds.
"""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from ackfirst.ingest.limits import IngestLimits
from ackfirst.shared.queue import keys
from tests.support.factories import API_KEY, inbound_message
from tests.support.prometheus import alert_names, needs_prometheus
from tests.support.redis_process import RedisProcess
from tests.support.waiting import wait_until
from tests.support.watched import FAILING, OTHER_ACCOUNT, OTHER_SECRET, Watched, again_and_again

pytestmark = needs_prometheus

CALLBACKS = {
    "AckfirstAccountUnconfirmed",
    "AckfirstClockBehind",
    "AckfirstDeadLetters",
    "AckfirstHandlersFailing",
    "AckfirstProviderLag",
    "AckfirstQuarantineNearlyFull",
    "AckfirstRefusedForGood",
    "AckfirstRejects",
    "AckfirstShed",
    "AckfirstSpoolSetAside",
    "AckfirstUnknownAccounts",
}
LONG_WINDOWS = {"AckfirstDeadLetters", "AckfirstHandlersFailing", "AckfirstRefusedForGood"}
OUTAGE = {
    "AckfirstRedisDataLost",
    "AckfirstRedisDown",
    "AckfirstSpoolFilling",
    "AckfirstSpoolInUse",
    "AckfirstSpoolOverAge",
    "AckfirstSpoolUnusable",
    "AckfirstUnavailable",
}
RECORD = {"AckfirstRecordBehind", "AckfirstRecordGap"}
PROCESSES = {"AckfirstIngestAbsent", "AckfirstIngestDown", "AckfirstLaneWaits", "AckfirstNoWorkers"}


def message(name: str, **fields: Any) -> dict[str, Any]:
    """A new message, sent by the provider at this moment unless ``fields`` say otherwise."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return inbound_message(message_uuid=f"{name}-{time.monotonic_ns()}", **{"timestamp": now, **fields})


def fill_quarantine(client: redis.Redis, *, but: int) -> None:
    """Leave room for so many callbacks."""
    limit = IngestLimits().quarantine_records
    with client.pipeline(transaction=False) as pipeline:
        for _ in range(limit - but):
            pipeline.xadd(keys.QUARANTINE, {"v": "1"})
        pipeline.execute()


def test_every_alert_is_brought_about_here() -> None:
    assert set(alert_names()) == CALLBACKS | OUTAGE | PROCESSES | RECORD


def test_callbacks_and_handlers_bring_about_what_they_should(own_redis: RedisProcess, tmp_path: Path) -> None:
    with Watched(tmp_path, own_redis) as stack, own_redis.client() as client:
        nexmo = stack.nexmo
        fill_quarantine(client, but=40)

        def trouble() -> None:
            assert nexmo.post_json(message("early"), iat=int(time.time()) + 600) == 200
            late = datetime.fromtimestamp(time.time() - 120, UTC).isoformat()
            assert nexmo.post_json(message("late", timestamp=late), application_id=FAILING) == 200
            assert nexmo.post_json(message("ours"), api_key=OTHER_ACCOUNT, secret="of-last-year") in (200, 429)
            nexmo.post_json(message("theirs"), api_key="ffffffff")
            assert nexmo.request("GET", "/sms?msisdn=447700900417&to=12015550142&messageId=0C00&text=Hi") == 404

        client.rpush(keys.queue(f"{API_KEY}.{FAILING}"), "no-job-of-ours")
        client.set(keys.queue(f"{API_KEY}.blocked"), "no list")
        assert nexmo.post_json(message("blocked"), application_id="blocked") == 200
        with again_and_again(trouble, every=0.3):
            stack.sees_fire(CALLBACKS, timeout=60)

        client.delete(keys.QUARANTINE, keys.QUARANTINE_BYTES, keys.REJECTS, keys.queue(f"{API_KEY}.blocked"))
        assert nexmo.post_json(message("well"), api_key=OTHER_ACCOUNT, secret=OTHER_SECRET) == 200
        assert stack.ingest.terminate() == 0
        stack.start_ingest()  # forgets the strangers
        stack.sees_end(CALLBACKS - LONG_WINDOWS, timeout=60)


def test_an_outage_of_redis_brings_about_what_it_should(own_redis: RedisProcess, tmp_path: Path) -> None:
    limits = {"SPOOL_MAX_BYTES": "100000", "SPOOL_MAX_AGE": "3s"}
    with Watched(tmp_path, own_redis, **limits) as stack:
        wait_until((tmp_path / "data" / "redis-generation.json").exists, timeout=20)
        with again_and_again(lambda: stack.nexmo.post_json(message("spooled", text="x" * 3000)), every=0.05):
            own_redis.pause()
            stack.sees_fire(OUTAGE - {"AckfirstRedisDataLost"}, timeout=60)
            own_redis.kill()
            shutil.rmtree(own_redis.folder / "appendonlydir")
            own_redis.start()
            stack.sees_fire(OUTAGE, timeout=30)
            stack.sees_end(OUTAGE - {"AckfirstRedisDataLost"}, timeout=60)


def test_processes_that_are_gone_are_missed(own_redis: RedisProcess, tmp_path: Path) -> None:
    with Watched(tmp_path, own_redis) as stack:
        assert stack.worker.terminate() == 0
        assert stack.nexmo.post_json(message("waits")) == 200
        stack.sees_fire({"AckfirstNoWorkers", "AckfirstLaneWaits"}, timeout=60)
        stack.start_worker()
        stack.sees_end({"AckfirstNoWorkers", "AckfirstLaneWaits"}, timeout=30)

        stack.ingest.process.kill()
        stack.sees_fire({"AckfirstIngestDown"}, timeout=30)
        stack.prometheus.scrape()  # the container is gone, and with it its address
        stack.sees_fire({"AckfirstIngestAbsent"}, timeout=30)
        stack.prometheus.scrape(stack.admin_port)
        stack.start_ingest()
        stack.sees_end({"AckfirstIngestAbsent", "AckfirstIngestDown"}, timeout=30)


def test_a_record_that_is_behind_and_a_job_that_it_missed_are_alarms(own_redis: RedisProcess, tmp_path: Path) -> None:
    with Watched(tmp_path, own_redis, STORE_URL="postgresql://nobody@127.0.0.1:1/none") as stack:
        assert stack.nexmo.post_json(message("unrecorded")) == 200
        with own_redis.client() as client:
            [job] = stack.finished_jobs(client, 1)
            stack.sees_fire({"AckfirstRecordBehind"}, timeout=90)
            assert stack.worker.terminate() == 0
            client.delete(job)  # as a click in the dashboard would
        stack.start_worker(STORE_URL=f"sqlite:///{tmp_path}/record.db")
        stack.sees_fire({"AckfirstRecordGap"}, timeout=60)
        stack.sees_end({"AckfirstRecordBehind"}, timeout=60)
