"""A handler is broken for a while: its dead letters are found, replayed beside live traffic, and each runs once."""

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ackfirst.shared.queue import keys
from tests.support.factories import make_envelope
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import OPTIONS, all_lanes_are_empty, enqueue
from tests.support.processes import Cli, run_cli
from tests.support.redis_process import RedisProcess
from tests.support.waiting import wait_until

RECORDED = replace(OPTIONS, is_recorded=True)
DEAD = 300
LIVE = 60
#: Seconds that a live event may take to its handler while a replay runs; it is 2.0 at which a replay waits.
CEILING_SECONDS = 4.0

HANDLERS = """
@on(retries=0)
def charge(event, context):
    if BROKEN:
        raise ConnectionError("the payment service is away")
    time.sleep(0.005)
    note("charge", event.id, context.replay or "live", time.time())

@on(retries=0)
def log(event, context):
    note("log", event.id, context.replay or "live", 0)
"""


@pytest.mark.timeout(170)
def test_the_dead_letters_of_a_broken_handler_run_again_beside_live_traffic(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    env = {
        "ACKFIRST_REDIS_URL": own_redis.url,
        "ACKFIRST_DATA_DIR": str(tmp_path / "data"),
        "ACKFIRST_STORE_URL": f"sqlite:///{tmp_path}/data/record.db",
        "ACKFIRST_HANDLERS": "my_handlers",
        "ACKFIRST_API_KEY": "k7m2p9qa",
        "ACKFIRST_SIGNATURE_SECRET": "orchid-Lantern-42-visible-harbour",
    }
    (tmp_path / "data").mkdir(mode=0o700)

    def ask(*args: str) -> list[dict[str, Any]]:
        cli = run_cli(*args, "--json", cwd=tmp_path, env=env)
        assert cli.process.returncode == 0, cli.output
        return [json.loads(line) for line in cli.output.splitlines() if line.startswith("{")]

    broken = [make_envelope(received_at=time.time() - 1) for _ in range(DEAD)]
    with own_redis.client() as client:
        write_handlers(tmp_path, f"BROKEN = True\n{HANDLERS}")
        with Cli("worker", cwd=tmp_path, env=env, name="broken"):
            enqueue(client, *broken, options=RECORDED)
            wait_until(lambda: client.zcard(keys.failed(broken[0].lane)) == DEAD, timeout=60)
            wait_until(lambda: client.xlen(keys.RECORD) == 0, timeout=30, message="all is recorded")
        dead = ask("dead", "list", "--handler", "my_handlers.charge")
        assert {one["event_id"] for one in dead} == {one.id for one in broken}
        (plan,) = ask("dead", "replay", "--handler", "my_handlers.charge", "--dry-run")
        assert (plan["events"], plan["handlers"]) == (DEAD, [{"handler": "my_handlers.charge", "events": DEAD}])

        client.delete("test:calls")
        write_handlers(tmp_path, f"BROKEN = False\n{HANDLERS}")
        with Cli("worker", cwd=tmp_path, env=env, name="fixed") as fixed:
            fixed.wait_for_output("worker.started", timeout=60)
            (started,) = ask("dead", "replay", "--handler", "my_handlers.charge", "--yes")
            sent = {}
            for _ in range(LIVE):
                live = make_envelope(received_at=time.time())
                sent[live.id] = time.time()
                enqueue(client, live, options=RECORDED)
                time.sleep(0.05)
            wait_until(lambda: ask("replay", "list")[0]["state"] == "done", timeout=60)
            wait_until(lambda: len(calls(client)) == DEAD + 2 * LIVE, timeout=30)
            wait_until(lambda: ask("replay", "show", started["id"])[0]["succeeded"] == DEAD, timeout=30)
            wait_until(lambda: all_lanes_are_empty(client), timeout=30)
            wait_until(lambda: client.xlen(keys.RECORD) == 0, timeout=30, message="all is recorded")
            (shown,) = ask("replay", "show", started["id"])
        assert (shown["moved"], shown["succeeded"], shown["died"]) == (DEAD, DEAD, 0)
        seen = [line.split() for line in calls(client)]
        ran = Counter((handler, event_id, replay) for handler, event_id, replay, _ in seen)
        assert ran == Counter(
            [
                *(("charge", one.id, started["id"]) for one in broken),
                *((handler, event_id, "live") for handler in ("charge", "log") for event_id in sent),
            ]
        ), "each once; what had finished did not run again"
        waits = [
            float(at) - sent[event_id] for handler, event_id, _, at in seen if handler == "charge" and event_id in sent
        ]
        assert max(waits) < CEILING_SECONDS
        assert ask("dead", "list") == []
        steps = ask("message", broken[0].id)
        assert [step["kind"] for step in steps if step["kind"] in ("dead", "replayed", "ended")] == [
            "dead",
            "replayed",
            "ended",
        ]
