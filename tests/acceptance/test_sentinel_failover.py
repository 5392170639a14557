"""A master that dies under load: ingest and workers find the new one by themselves, and everything goes on."""

import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ackfirst.shared.queue import keys
from tests.support.certificates import Authority
from tests.support.factories import inbound_message
from tests.support.processes import ROOT, Cli, run_cli
from tests.support.sentinel import Watched
from tests.support.stack import ingest, settings
from tests.support.waiting import wait_until

#: Events of a hundred a second that Redis's replication may be behind: it confirms a write before a replica has it.
LAG = 2

#: A master that no replica follows confirms nothing (docs/deployment.md).
MIN_REPLICAS = "min-replicas-to-write 1\nmin-replicas-max-lag 2\n"

HANDLERS = """
import os
from ackfirst import on

NOTES = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

@on()
def run(event):
    os.write(NOTES, f"{event.message_id}\\n".encode())
"""


def handled(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def most_missing(folder: Path) -> int:
    """Count the events that may be missing: those that ingest has reported as lost, at most ``LAG`` a failover.

    Sentinels may fail over twice. Of what is reported, handlers may have run some before.
    """
    lines = [json.loads(line) for line in (folder / "ingest.out").read_text().splitlines() if "redis.data-lost" in line]
    return sum(min(LAG, line["events"]) for line in lines)


def is_settled(servers: Watched) -> bool:
    """Asked anew each time: Sentinels that disagree at first may fail over twice."""
    with servers.client(servers.master) as client:
        registered = client.scard("rq:workers") == 1 and client.exists(keys.JANITOR_LEASE)
        return bool(registered) and client.info("replication")["role"] == "master"


def as_on_the_page(folder: Path) -> Watched:
    """What docs/deployment.md advises, over TLS."""
    return Watched(folder, replicas=2, sentinels=3, lines=MIN_REPLICAS, guarded_by=Authority(folder / "authority"))


@pytest.mark.parametrize("servers", [Watched, as_on_the_page])
def test_a_failover_under_load_refuses_nobody_and_workers_go_on_with_the_new_master(
    tmp_path: Path, servers: Callable[[Path], Watched]
) -> None:
    notes = tmp_path / "notes"
    (tmp_path / "my_handlers.py").write_text(HANDLERS)
    with servers(tmp_path) as redis:
        env = {**settings(redis.url, tmp_path, ACKFIRST_HANDLERS="my_handlers"), "NOTES": str(notes)}
        with ingest(tmp_path, env) as nexmo, Cli("worker", cwd=tmp_path, env=env, name="worker") as worker:
            worker.wait_for_output("worker.started", timeout=30)
            stop, statuses, sent = threading.Event(), list[int](), list[str]()

            def send() -> None:
                for number in itertools.count():
                    if stop.wait(0.01):
                        return
                    statuses.append(nexmo.post_json(inbound_message(message_uuid=f"u-{number}")))
                    sent.append(f"u-{number}")

            sender = threading.Thread(target=send)
            sender.start()
            wait_until(lambda: len(handled(notes)) >= 50, timeout=60)
            former = redis.master
            redis.kill(former)
            killed = time.monotonic()
            wait_until(lambda: redis.master != former, timeout=60, message="the Sentinel promotes the replica")
            before = len(sent)
            wait_until(lambda: len(sent) >= before + 100, timeout=60)
            stop.set()
            sender.join()

            def all_is_handled() -> bool:
                return len(set(sent) - set(handled(notes))) <= most_missing(tmp_path)

            wait_until(all_is_handled, timeout=90, message="workers run on the new master, and nothing else is lost")
            took = time.monotonic() - killed
            wait_until(lambda: is_settled(redis), timeout=30, message="one engine and a janitor at the new master")
    seen = handled(notes)
    missing = set(sent) - set(seen)
    print(  # noqa: T201 - the figures that count
        f"failover under 100/s: {len(sent)} sent, answers {sorted(set(statuses))}, {len(missing)} missing, "
        f"{len(seen) - len(set(seen))} handled again, all well {took:.1f} s after the kill"
    )
    assert set(statuses) == {200}
    assert len(missing) <= most_missing(tmp_path), "a replica that is copied to afterwards may lack the newest writes"


def test_the_page_says_what_is_tested_here() -> None:
    assert MIN_REPLICAS in (ROOT / "docs" / "deployment.md").read_text()


def test_a_master_that_no_replica_follows_confirms_nothing_and_events_wait_on_disk(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    (tmp_path / "my_handlers.py").write_text(HANDLERS)
    with Watched(tmp_path, lines=MIN_REPLICAS) as redis:
        _, replica = redis.servers
        env = {**settings(redis.url, tmp_path, ACKFIRST_HANDLERS="my_handlers"), "NOTES": str(notes)}
        with ingest(tmp_path, env) as nexmo, Cli("worker", cwd=tmp_path, env=env, name="worker") as worker:
            worker.wait_for_output("worker.started", timeout=30)
            assert nexmo.post_json(inbound_message(message_uuid="before")) == 200
            wait_until(lambda: handled(notes) == ["before"], timeout=30)
            redis.kill(replica)
            with redis.client(redis.master) as client:
                wait_until(lambda: client.info("replication")["min_slaves_good_slaves"] == 0, timeout=20)
            statuses = [nexmo.post_json(inbound_message(message_uuid=f"u-{number}")) for number in range(50)]
            assert set(statuses) == {200}
            (spool,) = [
                json.loads(line) for line in run_cli("spool", "--json", cwd=tmp_path, env=env).output.splitlines()
            ]
            assert spool["records"] == 50
            assert handled(notes) == ["before"]
            redis.revive(replica)
            wait_until(lambda: len(handled(notes)) >= 51, timeout=60, message="the replica is back, and all is handled")
    assert sorted(handled(notes)) == sorted(["before", *(f"u-{number}" for number in range(50))])


def test_sentinels_and_master_that_a_stranger_vouches_for_are_refused(tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    with Watched(tmp_path, guarded_by=Authority(tmp_path / "authority")) as redis:
        url = redis.url.replace(str(tmp_path / "authority" / "ca.pem"), str(other.file))
        worker = run_cli("worker", cwd=tmp_path, env=settings(url, tmp_path))
    assert worker.process.returncode == 2
    (line,) = worker.output.splitlines()
    assert "its certificate is not accepted: self-signed certificate in certificate chain" in line
    assert line.endswith("check ACKFIRST_REDIS_URL")
    assert "look" not in line


@pytest.mark.parametrize("role", ["worker", "web"])
def test_a_wrong_password_for_the_sentinels_is_said(role: str, tmp_path: Path) -> None:
    with Watched(tmp_path, guarded_by=Authority(tmp_path / "authority")) as redis:
        url = redis.url.replace("look%20out", "look%20in")
        ended = run_cli(role, cwd=tmp_path, env=settings(url, tmp_path))
    assert ended.process.returncode == 2
    (line,) = ended.output.splitlines()
    assert "invalid username-password pair" in line
    assert "look" not in line


def test_an_operator_reads_the_quarantine_of_the_master_over_tls(tmp_path: Path) -> None:
    with Watched(tmp_path, guarded_by=Authority(tmp_path / "authority")) as redis:
        wrong = settings(redis.url, tmp_path, ACKFIRST_SIGNATURE_SECRET="a-secret-that-nobody-signs-with")
        with ingest(tmp_path, {**wrong, "ACKFIRST_ACK_DEADLINE": "5"}) as nexmo:
            assert nexmo.post_json(inbound_message()) == 200
        listed = run_cli("quarantine", "list", "--json", cwd=tmp_path, env=wrong)
    assert json.loads(listed.output)["verdict"] == "suspect"
