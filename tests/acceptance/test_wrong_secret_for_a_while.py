"""A wrong secret under live traffic, then the right one: every event is handled once, quarantined ones in order.

``TEST_WRONG_SECRET_SECONDS=60`` is a whole minute at 100 callbacks a second.
"""

import itertools
import json
import os
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from yarl import URL

from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.queue import keys
from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.rules import Pace
from ackfirst.simulator.run import Plan, run, traffic
from ackfirst.simulator.traffic import Shares
from tests.chaos.ledger import acknowledged, event_of
from tests.chaos.world import ACCOUNT
from tests.support.ports import free_port
from tests.support.processes import Cli, run_cli
from tests.support.redis_process import RedisProcess
from tests.support.stack import settings
from tests.support.waiting import wait_until

SECONDS = float(os.environ.get("TEST_WRONG_SECRET_SECONDS", "4"))
RATE = 100.0
WRONG = "a-secret-that-nobody-signs-with"

HANDLERS = """
import os
from ackfirst import on

NOTES = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

@on()
def run(event):
    os.write(NOTES, f"{event.id} {event.application_id or event.account}\\n".encode())
"""


class Ingest:
    """``ackfirst ingest`` on ports that stay the same."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.port, self.admin_port = free_port(), free_port()
        listen = {"LISTEN": self.port, "ADMIN_LISTEN": self.admin_port}
        self._env = {**env, **{f"ACKFIRST_{name}": f"127.0.0.1:{port}" for name, port in listen.items()}}
        self._folder = folder
        self._starts = itertools.count(1)

    @contextmanager
    def running(self, **more: str) -> Iterator[Cli]:
        name = f"ingest-{next(self._starts)}"
        with Cli("ingest", cwd=self._folder, env={**self._env, **more}, name=name) as process:
            process.wait_for_output("ingest.listening", timeout=30)
            yield process
            assert process.terminate() == 0

    def ready(self) -> dict[str, Any]:
        """What ``/readyz`` says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/readyz", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def send(self, seconds: float, seed: int) -> list[Delivery]:
        """Live traffic of every family, some of it twice; all is answered 200."""
        plan = Plan(
            target=URL(f"http://127.0.0.1:{self.port}"),
            account=ACCOUNT,
            count=int(RATE * seconds),
            seed=seed,
            shares=Shares(wrong_secret=0, unsigned=0, tampered=0),
            pace=Pace(rate=RATE, concurrency=500),
        )
        result = run(plan, traffic(plan, start=time.time()))
        assert {attempt.status for one in result.deliveries for attempt in one.attempts} == {200}
        return list(result.deliveries)


def quarantined(server: RedisProcess) -> list[str]:
    """Events in quarantine in the order of their arrival, each once."""
    with server.client() as client:
        records = [QuarantineRecord.decode(fields) for _, fields in client.xrange(keys.QUARANTINE)]
    records.sort(key=lambda record: record.received_at)
    return list(dict.fromkeys(filter(None, map(event_of, records))))


def handled(file: Path) -> list[tuple[str, str]]:
    """Event and lane, in the order in which the handler saw them."""
    return [(event, lane) for event, lane in map(str.split, file.read_text().splitlines())] if file.exists() else []


def test_a_wrong_secret_for_a_while_costs_nothing_and_leaves_the_order(own_redis: RedisProcess, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    (tmp_path / "my_handlers.py").write_text(HANDLERS)
    env = settings(own_redis.url, tmp_path, ACKFIRST_HANDLERS="my_handlers", ACKFIRST_ACK_DEADLINE="5")
    ingest = Ingest(tmp_path, env)
    with Cli("worker", "--threads", "1", cwd=tmp_path, env={**env, "NOTES": str(notes)}, name="worker"):
        with ingest.running(ACKFIRST_SIGNATURE_SECRET=WRONG) as process:
            sent = ingest.send(SECONDS, seed=1)
            [suspect] = [one for one in ingest.ready()["suspect_accounts"] if one["account"] == ACCOUNT.api_key]
            assert suspect["since"]
            assert f'ackfirst_account_unconfirmed{{account="{ACCOUNT.api_key}"}} 1.0' in ingest.metrics()
        alarms = [line for line in process.output.splitlines() if '"account.unconfirmed"' in line]
        assert len(alarms) == len({json.loads(line)["account"] for line in alarms}), "one line an account, no flood"
        order = quarantined(own_redis)
        assert set(order) == set(acknowledged(sent))
        assert not handled(notes), "nothing unconfirmed reaches a handler"
        with ingest.running():
            live: list[Delivery] = []
            traffic_ = Thread(target=lambda: live.extend(ingest.send(max(2.0, SECONDS / 10), seed=2)))
            traffic_.start()
            recheck = run_cli("quarantine", "recheck", cwd=tmp_path, env=env, timeout=120)
            assert recheck.process.returncode == 0, recheck.output
            traffic_.join()
            expected = {**acknowledged(sent), **acknowledged(live)}
            wait_until(lambda: len(handled(notes)) >= len(expected), timeout=120)
            assert not [one for one in ingest.ready()["suspect_accounts"] if one["account"] == ACCOUNT.api_key]
    events = [event for event, _ in handled(notes)]
    assert sorted(events) == sorted(expected), "each exactly once"
    inversions = out_of_order(handled(notes), order)
    with own_redis.client() as client:
        assert client.xlen(keys.QUARANTINE) == 0
    print(  # noqa: T201 - the figures that count
        f"wrong secret for {SECONDS:g} s at {RATE:g}/s: {len(sent)} callbacks, all answered 200; {len(order)} events "
        f"kept, all handled exactly once after the recheck, {inversions} out of order; {len(live)} more meanwhile"
    )
    assert inversions == 0


def out_of_order(seen: list[tuple[str, str]], order: list[str]) -> int:
    """How many events were handled after a later one of their lane."""
    place = {event: number for number, event in enumerate(order)}
    lanes: defaultdict[str, list[int]] = defaultdict(list)
    for event, lane in seen:
        if event in place:
            lanes[lane].append(place[event])
    return sum(later < before for lane in lanes.values() for before, later in itertools.pairwise(lane))
