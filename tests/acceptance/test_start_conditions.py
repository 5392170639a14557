"""What a start meets in the field: closed descriptors, several addresses, few rights in Redis, values from Windows."""

import json
import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import pytest

from ackfirst.shared.processes.supervisor import reexec
from ackfirst.shared.queue import keys
from tests.support.factories import inbound_message
from tests.support.handlers import calls, write_handlers
from tests.support.ports import free_port
from tests.support.processes import ROOT, Cli, clean_environment, run_cli
from tests.support.redis_process import RedisProcess
from tests.support.stack import ingest, settings
from tests.support.waiting import wait_until

#: The rights that docs/settings.md lists.
RIGHTS = (
    "~rq:*", "~ackfirst:*", "&rq:pubsub:*", "+@all", "-@dangerous", "+info", "+config|get", "+client|list",
)  # fmt: skip


def answers(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_ingest_runs_and_stops_in_order_with_closed_descriptors(redis_url: str, tmp_path: Path, closed: str) -> None:
    port = free_port()
    listen = {"ACKFIRST_LISTEN": f"127.0.0.1:{port}", "ACKFIRST_ADMIN_LISTEN": "127.0.0.1:0"}
    command = f"exec {shlex.join(reexec('ingest'))} {closed}"
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=tmp_path,
        env=clean_environment(**settings(redis_url, tmp_path), **listen),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers("127.0.0.1", port), timeout=20)
        opened = {str(Path(f"/proc/{process.pid}/fd/{number}").readlink()) for number in (0, 1, 2)}
        assert opened == {os.devnull}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()


def test_a_refusal_without_standard_error_still_ends_with_its_exit_code(tmp_path: Path) -> None:
    command = f"exec {shlex.join(reexec('ingest'))} 2>&- >&-"
    environ = clean_environment(ACKFIRST_POLICY="lax")
    assert subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, env=environ, check=False).returncode == 2


@pytest.mark.parametrize("processes", [(), ("--processes", "2")])
def test_ingest_listens_on_every_address_of_the_list(
    redis_url: str, tmp_path: Path, processes: tuple[str, ...]
) -> None:
    first, second = free_port(), free_port()
    admin = f"127.0.0.1:{free_port()}"
    listen = {"ACKFIRST_LISTEN": f"127.0.0.1:{first}, [::1]:{second}", "ACKFIRST_ADMIN_LISTEN": admin}
    env = {**settings(redis_url, tmp_path), **listen}
    with Cli("ingest", *processes, cwd=tmp_path, env=env, name="ingest") as cli:
        cli.wait_for_output("ingest.listening", timeout=20)
        wait_until(lambda: answers("127.0.0.1", first) and answers("::1", second), timeout=20)
        assert f'"listen":"127.0.0.1:{first},[::1]:{second}"' in cli.output


def test_all_addresses_of_ipv4_and_of_ipv6_go_together(redis_url: str, tmp_path: Path) -> None:
    port = free_port()
    listen = {"ACKFIRST_LISTEN": f"0.0.0.0:{port},[::]:{port}", "ACKFIRST_ADMIN_LISTEN": "127.0.0.1:0"}
    with Cli("ingest", cwd=tmp_path, env={**settings(redis_url, tmp_path), **listen}, name="ingest"):
        wait_until(lambda: answers("127.0.0.1", port) and answers("::1", port), timeout=20)


def test_a_second_address_that_is_taken_is_named(redis_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        listen = {"ACKFIRST_LISTEN": f"127.0.0.1:0,{address}", "ACKFIRST_ADMIN_LISTEN": "127.0.0.1:0"}
        cli = run_cli("ingest", cwd=tmp_path, env={**settings(redis_url, tmp_path), **listen})
    assert cli.process.returncode == 2
    assert f"cannot listen on {address}: address already in use, check ACKFIRST_LISTEN" in cli.output


Grant = Callable[..., str]


@pytest.fixture
def grant(own_redis: RedisProcess) -> Grant:
    """Give a user these rights; the fixture returns the URL of that user."""

    def granted(*rights: str) -> str:
        with own_redis.client() as client:
            client.execute_command("ACL", "SETUSER", "app", "reset", "on", ">pw", *rights)
        return f"{own_redis.url}?username=app&password=pw"

    return granted


def test_the_documented_rights_are_enough_for_everything(grant: Grant, own_redis: RedisProcess, tmp_path: Path) -> None:
    assert " ".join(RIGHTS) in (ROOT / "docs" / "settings.md").read_text()
    fails_once = "    note(event.message_id)\n    if context.attempt == 1:\n        raise OSError\n"
    write_handlers(tmp_path, f"@on()\ndef run(event, context):\n{fails_once}")
    more = {"ACKFIRST_HANDLERS": "my_handlers", "ACKFIRST_RETRY_SCHEDULE": "1s", "ACKFIRST_ACK_DEADLINE": "5"}
    env = settings(grant(*RIGHTS, "~test:*"), tmp_path, **more)  # where the handler takes its notes
    with ingest(tmp_path, env) as nexmo, Cli("worker", cwd=tmp_path, env=env, name="worker") as worker:
        assert nexmo.post_json(inbound_message(message_uuid="one")) == 200
        assert nexmo.post_json(inbound_message(message_uuid="two"), secret="of last year") == 200

        def handled() -> list[str]:
            with own_redis.client() as client:
                return calls(client)

        wait_until(lambda: handled() == ["one", "one"], timeout=30)
        with own_redis.client() as client:
            assert client.xlen(keys.QUARANTINE) == 1
            wait_until(lambda: client.get(keys.GENERATION), timeout=20)
            assert client.acl_log() == [], "nothing was refused"
        assert "NOPERM" not in worker.output
    assert "no permissions" not in (tmp_path / "ingest.out").read_text()


@pytest.mark.parametrize("command", ["ingest", "worker", "web"])
@pytest.mark.parametrize(
    ("rights", "missing"),
    [
        (("~rq:*", "+@all"), "read and write keys ackfirst:*"),
        (("~ackfirst:*", "~rq:job:*", "+@all"), "read and write keys rq:queues, rq:queue:*"),
        (("~*", "&*", "+@all", "-@scripting"), "run scripts (EVAL, EVALSHA, SCRIPT LOAD: +@scripting)"),
        (("~*", "&*", "+@all", "-hset"), "run HSET"),
        (("%R~*", "&*", "+@all"), "read and write keys ackfirst:*, rq:queues"),
    ],
)
def test_missing_rights_are_named_at_the_start(
    grant: Grant, tmp_path: Path, command: str, rights: tuple[str, ...], missing: str
) -> None:
    listen = {f"ACKFIRST_{name}": "127.0.0.1:0" for name in ("LISTEN", "ADMIN_LISTEN", "WEB_LISTEN")}
    cli = run_cli(command, cwd=tmp_path, env={**settings(grant(*rights), tmp_path), **listen})
    assert cli.process.returncode == 2, cli.output
    last = cli.output.strip().splitlines()[-1]
    assert last.startswith("ackfirst: the user of the Redis URL unix://")
    assert f"lacks rights: {missing}" in last
    assert "password=pw" not in cli.output


def test_ingest_needs_no_rights_on_keys_of_workers(grant: Grant, tmp_path: Path) -> None:
    url = grant("~ackfirst:*", "~rq:queues", "~rq:queue:*", "~rq:job:*", "+@all", "-@dangerous", "-@pubsub")
    with ingest(tmp_path, settings(url, tmp_path)) as nexmo:
        assert nexmo.post_json(inbound_message()) == 200


def test_a_secret_with_a_space_around_it_is_reported_and_with_a_line_end_it_works(
    redis_url: str, tmp_path: Path
) -> None:
    env = settings(redis_url, tmp_path)
    secret = env["ACKFIRST_SIGNATURE_SECRET"]
    with ingest(tmp_path, {**env, "ACKFIRST_SIGNATURE_SECRET": f"\ufeff{secret}\r"}) as nexmo:
        assert nexmo.post_json(inbound_message()) == 200
        wait_until(lambda: '"verdict":"verified"' in (tmp_path / "ingest.out").read_text(), timeout=20)
        assert "accounts.doubtful-secret" not in (tmp_path / "ingest.out").read_text()
    with ingest(tmp_path, {**env, "ACKFIRST_SIGNATURE_SECRET": f"{secret} "}):
        lines = [json.loads(line) for line in (tmp_path / "ingest.out").read_text().splitlines() if line[:1] == "{"]
        (line,) = [line for line in lines if line["event"] == "accounts.doubtful-secret"]
        assert line["doubt"].endswith("secret 1: it begins or ends with a space")
        assert secret not in json.dumps(lines)
