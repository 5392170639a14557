"""``ackfirst dev`` as a newcomer uses it."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dev import Dev
from tests.support.factories import inbound_message
from tests.support.folders import new_short_folder
from tests.support.ports import free_port
from tests.support.processes import Cli, run_cli
from tests.support.redis_process import RedisProcess
from tests.support.supervised import is_alive
from tests.support.waiting import wait_until


@pytest.fixture
def folder(redis_folder: Path) -> Path:
    folder = redis_folder / "my project"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def running() -> Iterator[Dev]:
    """One that runs, for tests that leave it as it is."""
    with new_short_folder(prefix="running dev ") as folder, Dev(folder) as dev:
        dev.wait_until_ready()
        yield dev


def message(number: int) -> dict[str, str]:
    return inbound_message(message_uuid=f"aaaaaaaa-0000-4000-8000-{number:012d}", text=f"message {number}")


def test_a_callback_reaches_its_handler_and_ctrl_c_stops_everything_in_order(folder: Path) -> None:
    with Dev(folder) as dev:
        dev.wait_until_ready()
        assert dev.nexmo.post_json(message(1)) == 200
        wait_until(lambda: dev.seen == ["message 1"], timeout=20)
        wait_until(lambda: _page_asks_for_a_password(dev.web_port), timeout=20)
        wait_until(lambda: dev.takes_stop_signals, timeout=40)
        queue = dev.queue
        dev.process.send_signal(signal.SIGINT)

        assert dev.wait(40) == 0
        stopped = [line["child"] for line in dev.logged("child.stopped")]
        assert [name for name in stopped if name in ("ingest", "worker", "web")] == [
            "ingest",
            "worker",
            "web",
        ]
        assert {line.get("exit_code") for line in dev.logged("child.stopped")} == {0}
        assert dev.survivors == []
        assert not is_alive(queue)
        assert "Traceback" not in dev.output
        # Had the queue gone first, those who were still there would have complained.
        assert [line for line in dev.log if line.get("level") in ("warning", "error")] == []


def _page_asks_for_a_password(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 401
    except OSError:
        return False
    return False


def test_ctrl_c_typed_into_a_terminal_ends_it_with_0(folder: Path) -> None:
    dev = Dev(folder, LOG_FORMAT="console")
    terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    dev.env["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    with (
        dev.output_file.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-c", terminal, sys.executable, "-m", "ackfirst", "dev"],
            cwd=folder,
            env=dev.env,
            stdin=subprocess.PIPE,
            stdout=output,
        ) as process,
    ):
        dev.process = process
        dev.wait_until_ready()
        assert process.stdin is not None
        process.stdin.write(b"\x03")
        process.stdin.flush()

        assert process.wait(40) == 0
    assert not is_alive(dev.queue)


def test_after_kill_9_only_the_queue_is_left_and_the_next_start_takes_it_over(folder: Path) -> None:
    with Dev(folder, name="killed") as dev:
        dev.wait_until_ready()
        wait_until(lambda: len(dev.started) == 6, timeout=40, message="ingest, worker, page, engine, janitor, recorder")
        queue = dev.queue
        dev.process.kill()
        wait_until(lambda: dev.survivors == [], message="the children are gone")
        assert is_alive(queue)

    with Dev(folder, name="next") as dev:
        dev.wait_until_ready()
        assert f"(process {queue}, found running)" in dev.output
        assert dev.nexmo.post_json(message(2)) == 200
        wait_until(lambda: dev.seen == ["message 2"], timeout=20)

        assert dev.terminate(40) == 0
    assert not is_alive(queue)


def test_a_second_start_on_the_same_data_folder_is_refused(running: Dev) -> None:
    with Dev(running.cwd, name="second") as second:
        assert second.wait() == 2
        assert second.output == (
            f"ackfirst: the data folder {(running.cwd / '.ackfirst').resolve()} is in use by another ackfirst "
            f"(process {running.process.pid}): stop that one, or set ACKFIRST_DATA_DIR to another folder\n"
        )

    assert running.process.poll() is None


def test_a_queue_that_is_killed_comes_back_and_with_it_the_rest(folder: Path) -> None:
    with Dev(folder) as dev:
        dev.wait_until_ready()
        os.kill(dev.queue, signal.SIGKILL)
        wait_until(lambda: dev.logged("queue.restarted"), timeout=20)

        wait_until(lambda: dev.nexmo.post_json(message(3)) == 200, timeout=20)
        wait_until(lambda: dev.seen == ["message 3"], timeout=60)
        assert dev.terminate(40) == 0


def test_a_second_start_on_the_ports_of_the_first_does_not_take_it_for_itself(running: Dev, tmp_path: Path) -> None:
    places = {"LISTEN": running.port, "ADMIN_LISTEN": running.admin_port, "WEB_LISTEN": running.web_port}
    same = {setting: f"127.0.0.1:{port}" for setting, port in places.items()}
    with Dev(running.cwd, name="same-ports", DATA_DIR=str(tmp_path / "second"), **same) as second:
        assert second.wait(40) == 2
        assert second.output == (
            f"ackfirst: cannot listen on 127.0.0.1:{running.port}: address already in use, check ACKFIRST_LISTEN\n"
        )

    assert running.process.poll() is None


@pytest.mark.parametrize("setting", ["LISTEN", "WEB_LISTEN"])
def test_a_port_in_use_stops_everything_with_the_sentence_of_the_one_that_needs_it(folder: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with Dev(folder, **{setting: place}) as dev:
            assert dev.wait(40) == 2

            sentences = [line for line in dev.output.splitlines() if line.startswith("ackfirst: ")]
            assert len(sentences) == 1
            assert place in sentences[0]
            assert dev.survivors == []
            assert not is_alive(dev.queue)


def test_handlers_that_cannot_be_imported_stop_everything(folder: Path) -> None:
    with Dev(folder, HANDLERS="no_such_module") as dev:
        assert dev.wait(40) == 2

        assert [line for line in dev.output.splitlines() if line.startswith("ackfirst: ") and "no_such_module" in line]
        assert dev.survivors == []


def test_a_given_redis_is_used_and_is_left_running(folder: Path, own_redis: RedisProcess) -> None:
    with Dev(folder, REDIS_URL=own_redis.url) as dev:
        dev.wait_until_ready()
        assert dev.nexmo.post_json(message(4)) == 200
        wait_until(lambda: dev.seen == ["message 4"], timeout=20)

        assert dev.terminate(40) == 0
        assert not (folder / ".ackfirst" / "valkey").exists()
    with own_redis.client() as client:
        assert client.ping()


def test_a_given_redis_that_is_not_there_is_reported_once(folder: Path) -> None:
    with Dev(folder, REDIS_URL=f"redis://:tidal-Compass@127.0.0.1:{free_port()}/0") as dev:
        assert dev.wait() == 2

        assert dev.output.startswith("ackfirst: cannot reach Redis at ")
        assert dev.output.count("\n") == 1
        assert "tidal-Compass" not in dev.output


def test_a_given_redis_that_could_lose_events_is_a_warning_or_a_refusal(folder: Path, redis_folder: Path) -> None:
    server = RedisProcess(redis_folder, appendonly="no").start()
    try:
        with Dev(folder, name="warned", REDIS_URL=server.url) as dev:
            dev.wait_until_ready()
            assert [line["setting"] for line in dev.logged("redis.unsafe")] == ["appendonly"]
            assert dev.terminate(40) == 0
        with Dev(folder, name="refused", REDIS_URL=server.url, REQUIRE_SAFE_REDIS="1") as dev:
            assert dev.wait(40) == 2
            sentences = [line for line in dev.output.splitlines() if line.startswith("ackfirst: ")]
            assert len(sentences) == 1
            assert sentences[0].startswith("ackfirst: ACKFIRST_REQUIRE_SAFE_REDIS is set")
    finally:
        server.stop()


@pytest.mark.parametrize("command", [("quarantine", "list"), ("rejects", "list")])
def test_a_command_in_a_second_terminal_works_on_the_queue_of_dev(running: Dev, command: tuple[str, ...]) -> None:
    cli = run_cli(*command, cwd=running.cwd)
    assert cli.process.returncode == 0, cli.output
    assert "using the queue of ackfirst dev, unix://" in cli.output


def test_a_worker_and_a_page_in_a_second_terminal_work_on_the_queue_of_dev(running: Dev) -> None:
    handlers = {"ACKFIRST_HANDLERS": "callbacks", "ACKFIRST_LOG_FORMAT": "json"}
    with Cli("worker", cwd=running.cwd, env=handlers, name="worker") as worker:
        # The engine, which the worker has started, works on it too.
        worker.wait_for_output('"worker.started"')
        assert worker.output.count('"redis.private-server"') == 1
        assert worker.terminate(20) == 0
    with Cli("web", "--listen", "127.0.0.1:0", cwd=running.cwd, env=handlers, name="web") as page:
        page.wait_for_output('"web.started"')
        assert '"redis.private-server"' in page.output


def test_a_redis_that_was_named_wins_over_the_queue_of_dev(running: Dev, own_redis: RedisProcess) -> None:
    cli = run_cli("quarantine", "list", cwd=running.cwd, env={"ACKFIRST_REDIS_URL": own_redis.url})
    assert cli.process.returncode == 0
    assert "ackfirst dev" not in cli.output


def test_without_dev_the_default_redis_is_asked(folder: Path) -> None:
    (folder / ".ackfirst" / "valkey").mkdir(parents=True)
    cli = run_cli("quarantine", "list", cwd=folder)
    assert "ackfirst dev," not in cli.output
    assert "ackfirst dev has stopped here; asking redis://" in cli.output
