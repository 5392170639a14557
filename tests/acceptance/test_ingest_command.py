"""``ackfirst ingest`` as a process: how it starts, what it refuses, how it stops, and several that share a port."""

import http.client
import json
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from ackfirst.shared.queue import keys
from tests.support.factories import LANE, inbound_message
from tests.support.nexmo import Nexmo
from tests.support.ports import free_port
from tests.support.processes import Cli, run_cli
from tests.support.redis_process import RedisProcess
from tests.support.spooled import spooled_records
from tests.support.stack import settings
from tests.support.waiting import wait_until


class Running(NamedTuple):
    """One ``ackfirst ingest`` and a Nexmo that sends to it."""

    cli: Cli
    nexmo: Nexmo
    admin_port: int

    def admin(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def metric(self, start: str) -> float:
        lines = [line for line in self.admin("/metrics").splitlines() if line.startswith(start)]
        return sum(float(line.split()[-1]) for line in lines)

    def is_up(self) -> bool:
        assert self.cli.process.poll() is None, self.cli.output
        try:
            return self.nexmo.request("GET", "/healthz") == 200
        except OSError:
            return False


@contextmanager
def running(redis_url: str, folder: Path, *args: str, **more: str) -> Iterator[Running]:
    port, admin_port = free_port(), free_port()
    listen = {"ACKFIRST_LISTEN": f"127.0.0.1:{port}", "ACKFIRST_ADMIN_LISTEN": f"127.0.0.1:{admin_port}"}
    with Cli("ingest", *args, cwd=folder, env={**settings(redis_url, folder, **more), **listen}) as cli:
        up = Running(cli, Nexmo(port), admin_port)
        wait_until(up.is_up, timeout=30, message="ingest answers /healthz")
        yield up


def message(number: int) -> dict[str, str]:
    return inbound_message(message_uuid=f"uuid-{number}")


def log_lines(cli: Cli, event: str) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in cli.output.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_it_answers_logs_one_line_and_stops_with_zero(redis_url: str, redis_sync: redis.Redis, tmp_path: Path) -> None:
    with running(redis_url, tmp_path, ACKFIRST_ACK_DEADLINE="5") as ingest:
        assert ingest.nexmo.post_json(message(1)) == 200
        assert ingest.cli.terminate() == 0
        (line,) = log_lines(ingest.cli, "callback.received")
    assert (line["verdict"], line["http_status"]) == ("verified", 200)
    assert redis_sync.llen(keys.queue(LANE)) == 1
    assert "Traceback" not in ingest.cli.output
    assert not any(personal in ingest.cli.output for personal in ("447700900417", "Moor at berth", "Bearer"))


def test_ctrl_c_stops_it_with_zero(redis_url: str, tmp_path: Path) -> None:
    with running(redis_url, tmp_path) as ingest:
        ingest.cli.process.send_signal(signal.SIGINT)
        assert ingest.cli.wait() == 0


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("setting", ["ACKFIRST_LISTEN", "ACKFIRST_ADMIN_LISTEN"])
def test_a_port_in_use_is_one_sentence_and_exit_code_2(
    setting: str, processes: str, redis_url: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        free = {name: f"127.0.0.1:{free_port()}" for name in ("ACKFIRST_LISTEN", "ACKFIRST_ADMIN_LISTEN")}
        env = {**settings(redis_url, tmp_path), **free, setting: f"127.0.0.1:{port}"}
        cli = run_cli("ingest", "--processes", processes, cwd=tmp_path, env=env)
    assert cli.process.returncode == 2
    sentence = cli.output.splitlines()[-1]
    assert sentence.startswith(f"ackfirst: cannot listen on 127.0.0.1:{port}: address already in use, check ")
    assert sentence.endswith(f"check {setting}")
    assert "Traceback" not in cli.output


@pytest.mark.parametrize("processes", ["1", "2"])
def test_started_while_redis_is_away_it_says_so_answers_and_queues_later(
    own_redis: RedisProcess, tmp_path: Path, processes: str
) -> None:
    own_redis.kill()
    with running(own_redis.url, tmp_path, "--processes", processes) as ingest:
        [line] = log_lines(ingest.cli, "redis.away")
        assert "check ACKFIRST_REDIS_URL" in line["reason"]
        assert {ingest.nexmo.post_json(inbound_message(message_uuid=f"u-{number}")) for number in range(10)} == {200}
        own_redis.start()
        with own_redis.client() as client:
            wait_until(lambda: client.llen(keys.queue(LANE)) == 10, timeout=20)


def test_a_redis_that_refuses_us_is_one_sentence_and_exit_code_2(redis_folder: Path, tmp_path: Path) -> None:
    server = RedisProcess(redis_folder).start()
    try:
        cli = run_cli("ingest", cwd=tmp_path, env=settings(f"{server.url}?db=99999", tmp_path))
    finally:
        server.stop()
    assert cli.process.returncode == 2
    assert "ackfirst: cannot reach Redis at unix://" in cli.output
    assert "check ACKFIRST_REDIS_URL" in cli.output
    assert "Traceback" not in cli.output


def test_an_unsafe_redis_is_a_warning_or_a_refusal(redis_folder: Path, tmp_path: Path) -> None:
    server = RedisProcess(redis_folder, appendonly="no").start()
    try:
        with running(server.url, tmp_path) as ingest:
            assert [line["setting"] for line in log_lines(ingest.cli, "redis.unsafe")] == ["appendonly"]
        env = settings(server.url, tmp_path, ACKFIRST_REQUIRE_SAFE_REDIS="1", ACKFIRST_LISTEN="127.0.0.1:0")
        cli = run_cli("ingest", cwd=tmp_path, env=env)
    finally:
        server.stop()
    assert cli.process.returncode == 2
    assert "ackfirst: ACKFIRST_REQUIRE_SAFE_REDIS is set" in cli.output
    assert "appendonly" in cli.output


def test_a_full_redis_never_keeps_it_from_starting(redis_folder: Path, tmp_path: Path) -> None:
    server = RedisProcess(redis_folder).start()
    try:
        with server.client() as client:
            client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 65_536)
        with running(server.url, tmp_path, ACKFIRST_REQUIRE_SAFE_REDIS="1") as ingest:
            assert [line["setting"] for line in log_lines(ingest.cli, "redis.unsafe")] == ["used_memory"]
            assert ingest.nexmo.post_json(message(1)) == 200
            assert spooled_records(tmp_path / "data") == 1
    finally:
        server.stop()


def test_without_an_account_it_warns_and_parks(redis_url: str, redis_sync: redis.Redis, tmp_path: Path) -> None:
    env = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_LOG_FORMAT": "json", "ACKFIRST_ACK_DEADLINE": "5"}
    port = free_port()
    listen = {"ACKFIRST_LISTEN": f"127.0.0.1:{port}", "ACKFIRST_ADMIN_LISTEN": "127.0.0.1:0"}
    with Cli("ingest", cwd=tmp_path, env={**env, **listen}) as cli:
        cli.wait_for_output("ingest.listening")
        assert Nexmo(port).post_json(message(1)) == 200
        assert log_lines(cli, "accounts.none")
    assert redis_sync.xlen(keys.QUARANTINE) == 1


def test_kill_9_loses_nothing_that_was_acknowledged(redis_url: str, redis_sync: redis.Redis, tmp_path: Path) -> None:
    with running(redis_url, tmp_path) as ingest:
        acknowledged = under_load(ingest, ingest.cli.process.kill)
    assert durable(redis_sync, tmp_path) >= acknowledged > 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_sigterm_under_load_answers_what_was_read_and_loses_nothing(
    processes: str, redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    with running(redis_url, tmp_path, "--processes", processes) as ingest:
        acknowledged = under_load(ingest, lambda: ingest.cli.process.send_signal(signal.SIGTERM))
        assert ingest.cli.wait() == 0
    assert durable(redis_sync, tmp_path) >= acknowledged > 0


def durable(client: redis.Redis, folder: Path) -> int:
    """Events in the queue, or on disk where Redis has taken longer than the ack deadline."""
    return int(client.llen(keys.queue(LANE))) + spooled_records(folder / "data")


def under_load(ingest: Running, act: Callable[[], object]) -> int:
    """Send from four threads, ``act`` after the first fifty answers; how many callbacks were answered 200."""
    acknowledged: list[int] = []

    def send(first: int) -> None:
        for number in range(first, first + 100_000):
            try:
                if ingest.nexmo.post_json(message(number)) == 200:
                    acknowledged.append(number)
            except (OSError, http.client.HTTPException):
                return

    threads = [threading.Thread(target=send, args=(first * 1_000_000,)) for first in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) > 50)
    act()
    for thread in threads:
        thread.join(timeout=30)
    return len(acknowledged)


def test_processes_share_the_port_and_add_up_their_metrics(redis_url: str, tmp_path: Path) -> None:
    with running(redis_url, tmp_path, "--processes", "2") as ingest:
        pids = {line["pid"] for line in log_lines(ingest.cli, "child.started")}
        wait_until(lambda: len(log_lines(ingest.cli, "ingest.listening")) == 2, timeout=30)
        for number in range(60):
            assert ingest.nexmo.post_json(message(number)) == 200
        received = 'ackfirst_callbacks_total{family="inbound-message"'
        wait_until(lambda: ingest.metric(received) == 60.0, message="counted, in a turn after the answer")
        sums = Counter(ingest.metric(received) for _ in range(10))
        assert sums == {60.0: 10}
        assert len(pids) == 2
        assert json.loads(ingest.admin("/readyz"))["ready"] is True


def test_a_killed_process_of_several_is_replaced(redis_url: str, tmp_path: Path) -> None:
    with running(redis_url, tmp_path, "--processes", "2") as ingest:
        wait_until(lambda: len(log_lines(ingest.cli, "ingest.listening")) == 2, timeout=30)
        victim = int(log_lines(ingest.cli, "child.started")[0]["pid"])
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(log_lines(ingest.cli, "ingest.listening")) == 3, timeout=30)
        assert {ingest.nexmo.post_json(message(number)) for number in range(30)} == {200}
        assert ingest.cli.terminate() == 0


def test_several_processes_cannot_share_port_0(redis_url: str, tmp_path: Path) -> None:
    env = settings(redis_url, tmp_path, ACKFIRST_LISTEN="127.0.0.1:0")
    cli = run_cli("ingest", "--processes", "2", cwd=tmp_path, env=env)
    assert cli.process.returncode == 2
    assert "ackfirst: several processes cannot share port 0, check ACKFIRST_LISTEN" in cli.output
