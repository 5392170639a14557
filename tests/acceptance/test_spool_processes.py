"""Real processes that are really killed while Redis is away: what the client read as 200 is in the queue afterwards."""

import itertools
import json
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Self

import pytest

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.envelope import Envelope
from tests.support.factories import LANE, inbound_message
from tests.support.nexmo import Nexmo
from tests.support.ports import free_port
from tests.support.processes import Cli
from tests.support.redis_process import RedisProcess
from tests.support.small_disk import needs_small_disk, small_disk
from tests.support.stack import settings
from tests.support.waiting import wait_until

#: Rounds of the loop of kills; each takes about two seconds.
KILLS = int(os.environ.get("TEST_KILLS", "4"))


class Edge:
    """``ackfirst ingest`` on free ports."""

    def __init__(self, folder: Path, redis: RedisProcess, *args: str, name: str = "ingest", **more: str) -> None:
        port = free_port()
        listen = {"ACKFIRST_LISTEN": f"127.0.0.1:{port}", "ACKFIRST_ADMIN_LISTEN": f"127.0.0.1:{free_port()}"}
        self.cli = Cli("ingest", *args, cwd=folder, env={**settings(redis.url, folder, **more), **listen}, name=name)
        self.nexmo = Nexmo(port)

    def __enter__(self) -> Self:
        self.cli.__enter__()
        self.cli.wait_for_output("ingest.listening")
        return self

    def __exit__(self, *about: object) -> None:
        self.cli.__exit__(None, None, None)


class Sender:
    """Sends without a pause and notes what was acknowledged."""

    def __init__(self, nexmo: Nexmo, numbers: "itertools.count[int]", *, pause: float = 0.0) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[int] = []
        self.slowest = 0.0
        self._nexmo, self._numbers, self._pause = nexmo, numbers, pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            name, began = f"uuid-{next(self._numbers)}", time.monotonic()
            try:
                status = self._nexmo.post_json(inbound_message(message_uuid=name))
            except OSError:
                return
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.acknowledged.append(name) if status == 200 else self.refused.append(status)


def delivered(redis: RedisProcess) -> list[str]:
    """The message of every waiting job, in order."""
    with redis.client() as client:
        ids = [job.decode() for job in client.lrange(keys.queue(LANE), 0, -1)]
        pipeline = client.pipeline()
        for job in ids:
            pipeline.hget(keys.job(job), "data")
        messages = [Envelope.decode(json.loads(data)[2][0]).message_id for data in pipeline.execute()]
    return [message for message in messages if message is not None]


@pytest.mark.timeout(60 + 5 * KILLS)
def test_kill_9_at_any_moment_loses_nothing_acknowledged_whether_redis_is_there_or_not(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    numbers, acknowledged, moments = itertools.count(), set[str](), random.Random(3)
    for number in range(KILLS):
        away = number % 2 == 0
        with Edge(tmp_path, own_redis) as edge:
            if away:
                own_redis.kill()
            with Sender(edge.nexmo, numbers) as sender:
                enough = moments.randrange(1, 60)
                wait_until(lambda: len(sender.acknowledged) >= enough)  # noqa: B023 - called in this round
                time.sleep(moments.uniform(0, 0.02))  # the random instant
                edge.cli.process.kill()
            acknowledged |= set(sender.acknowledged)
        if away:
            own_redis.start()
    with Edge(tmp_path, own_redis):
        wait_until(lambda: acknowledged <= set(delivered(own_redis)), timeout=60, message="every 200 is in the queue")
    found = delivered(own_redis)
    print(  # noqa: T201 - the figures that count
        f"{KILLS} kills of ingest, every second one while Redis was away: {len(acknowledged)} read as 200, "
        f"{len(acknowledged - set(found))} missing, {len(found) - len(set(found))} queued twice"
    )
    assert len(found) == len(set(found))


def test_a_redis_that_restarts_under_load_costs_no_answer_and_queues_every_event_once(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    with Edge(tmp_path, own_redis) as edge, Sender(edge.nexmo, itertools.count(), pause=0.01) as sender:
        for _ in range(2):
            wait_for_more(sender, 100)
            own_redis.kill()
            wait_for_more(sender, 100)
            own_redis.start()
        wait_for_more(sender, 100)
        sender.__exit__()
        wait_until(lambda: set(sender.acknowledged) <= set(delivered(own_redis)), timeout=30)
    assert sender.refused == []
    assert sorted(delivered(own_redis)) == sorted(sender.acknowledged)


def wait_for_more(sender: Sender, count: int) -> None:
    before = len(sender.acknowledged)
    wait_until(lambda: len(sender.acknowledged) >= before + count or sender.refused)


def test_the_survivor_empties_the_file_of_a_killed_process(own_redis: RedisProcess, tmp_path: Path) -> None:
    with Edge(tmp_path, own_redis, name="one") as victim, Edge(tmp_path, own_redis, name="two") as survivor:
        own_redis.kill()
        assert {victim.nexmo.post_json(inbound_message(message_uuid=f"v-{n}")) for n in range(20)} == {200}
        victim.cli.process.send_signal(signal.SIGKILL)
        victim.cli.wait()
        assert survivor.nexmo.post_json(inbound_message(message_uuid="s")) == 200
        own_redis.start()
        expected = {"s", *(f"v-{n}" for n in range(20))}
        wait_until(lambda: set(delivered(own_redis)) == expected, timeout=15)
        survivor.cli.wait_for_output("spool.adopted")
    assert len(delivered(own_redis)) == 21


@needs_small_disk
@pytest.mark.timeout(120)
def test_a_disk_that_stays_full_loses_nothing_when_ingest_is_killed_on_it(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    def send(number: int) -> int:
        return edge.nexmo.post_json(inbound_message(message_uuid=f"u-{number}", text="x" * 30_000))

    with small_disk(tmp_path / "data") as disk:
        with Edge(tmp_path, own_redis) as edge:
            own_redis.kill()
            accepted = [number for number in range(150) if send(number) == 200]
            assert 50 < len(accepted) < 150
            disk.fill()
            edge.cli.process.kill()
        with Edge(tmp_path, own_redis, name="again") as edge:
            assert send(150) == 503
            own_redis.start()
            wait_until(lambda: len(set(delivered(own_redis))) == len(accepted), timeout=30)
            wait_until(lambda: not list(disk.folder.rglob("*.segment")))
            disk.fill()
            own_redis.kill()
            assert send(151) == 503, "the disk is still full"
            disk.make_room()
            wait_until(lambda: send(152) == 200)
            own_redis.start()
            wait_until(lambda: len(set(delivered(own_redis))) == len(accepted) + 1, timeout=30)
    assert sorted(delivered(own_redis)) == sorted([*(f"u-{number}" for number in accepted), "u-152"])
