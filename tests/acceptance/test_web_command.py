"""``ackfirst web`` as an operator starts and stops it."""

import base64
import json
import signal
import socket
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from tests.support.ports import free_port
from tests.support.processes import Cli, run_cli
from tests.support.redis_process import RedisProcess

STARTED = '"web.started"'
STATIC = "/static/page.css"


@pytest.fixture
def env(redis_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "ACKFIRST_REDIS_URL": redis_url,
        "ACKFIRST_DATA_DIR": str(tmp_path / "data"),
        "ACKFIRST_WEB_LISTEN": "127.0.0.1:0",
        "ACKFIRST_LOG_FORMAT": "json",
    }


@pytest.fixture
def started(env: dict[str, str], tmp_path: Path) -> Iterator[Cli]:
    with Cli("web", cwd=tmp_path, env=env) as cli:
        cli.wait_for_output(STARTED)
        yield cli


def line(cli: Cli) -> dict[str, str]:
    """What the command says when it has started."""
    (found,) = [text for text in cli.output.splitlines() if STARTED in text]
    told: dict[str, str] = json.loads(found)
    return told


def status(cli: Cli, *, path: str = "/", password: str | None = None, user: str = "ackfirst") -> int:
    request = urllib.request.Request(line(cli)["url"].rstrip("/") + path)
    if password is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def test_a_password_is_made_and_kept_for_its_owner_only(started: Cli, tmp_path: Path) -> None:
    file = tmp_path / "data" / "web-password"
    assert line(started)["password_in"] == str(file)
    assert line(started)["user"] == "ackfirst"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    password = file.read_text().strip()
    assert len(password) >= 20
    assert password not in started.output
    assert (status(started), status(started, path=STATIC)) == (401, 401)
    assert (status(started, password=password), status(started, password=password, path=STATIC)) == (200, 200)


def test_the_password_is_the_same_after_a_restart(started: Cli, env: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "data" / "web-password"
    password = file.read_text()
    with Cli("web", cwd=tmp_path, env=env, name="second") as second:
        second.wait_for_output(STARTED)
        assert file.read_text() == password
        assert status(second, password=password.strip()) == 200
    assert [path.name for path in file.parent.iterdir()] == ["web-password"]


def test_a_password_of_ones_own_comes_from_a_file(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("harbour Öl\n")
    own = {"ACKFIRST_WEB_PASSWORD_FILE": str(tmp_path / "secret")}
    with Cli("web", cwd=tmp_path, env=env | own) as cli:
        cli.wait_for_output(STARTED)
        assert status(cli, password="harbour Öl", user="ackfirst") == 200
        assert status(cli, password="harbour Öl", user="ops") == 401
        assert "harbour" not in cli.output
        assert line(cli)["password_in"] == str(tmp_path / "secret")
    assert not (tmp_path / "data" / "web-password").exists()


def test_a_password_in_the_environment_is_named(env: dict[str, str], tmp_path: Path) -> None:
    with Cli("web", cwd=tmp_path, env=env | {"ACKFIRST_WEB_PASSWORD": "harbour"}) as cli:
        cli.wait_for_output(STARTED)
        assert line(cli)["password_in"] == "ACKFIRST_WEB_PASSWORD"


@pytest.mark.parametrize(
    ("options", "url", "warned"),
    [
        (["--listen", "127.0.0.1:0"], "http://127.0.0.1:", False),
        (["--listen", "0.0.0.0:0"], "http://0.0.0.0:", True),
        # docker compose: the port is published on loopback only.
        (["--listen", "0.0.0.0:0", "--published", "127.0.0.1:9181"], "http://127.0.0.1:9181/", False),
        (["--listen", "0.0.0.0:0", "--published", "9181"], "http://0.0.0.0:9181/", True),
        (["--listen", "0.0.0.0:0", "--published", "https://ops.example"], "https://ops.example/", False),
    ],
)
def test_it_warns_only_where_other_machines_can_reach_it_without_tls(
    env: dict[str, str], tmp_path: Path, options: list[str], url: str, warned: bool
) -> None:
    with Cli("web", *options, cwd=tmp_path, env=env) as cli:
        cli.wait_for_output(STARTED)
        assert line(cli)["url"].startswith(url)
        cli.process.terminate()
        cli.wait(timeout=10)
        assert ('"web.exposed"' in cli.output) is warned


def test_names_of_the_configuration_are_shown(redis_url: str, env: dict[str, str], tmp_path: Path) -> None:
    """Also from a file without secrets."""
    application = "c4a1e7d0-52b3-4f6f-a9d8-3e0b7c612f45"
    (tmp_path / "ackfirst.toml").write_text(
        f'[accounts.abcd1234]\nname = "Main"\n[accounts.abcd1234.applications.{application}]\nname = "Staging"\n'
    )
    lanes = {f"ackfirst-abcd1234.{application}": "Staging", "ackfirst-abcd1234": "Main", "ackfirst-abcd1234.x": "Main"}
    with redis.Redis.from_url(redis_url) as connection:
        connection.sadd("rq:queues", *(f"rq:queue:{lane}" for lane in lanes))
    with Cli("web", cwd=tmp_path, env=env | {"ACKFIRST_WEB_PASSWORD": "harbour"}) as cli:
        cli.wait_for_output(STARTED)
        request = urllib.request.Request(line(cli)["url"] + "rq/0/data/queues.json")
        request.add_header("Authorization", "Basic " + base64.b64encode(b"ackfirst:harbour").decode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            shown = [queue["name"] for queue in json.load(answer)["queues"]]
    assert sorted(shown) == sorted(f"{lane} ({name})" for lane, name in lanes.items())


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_with_a_connection_open(started: Cli, signum: signal.Signals) -> None:
    address = line(started)["url"].removeprefix("http://").rstrip("/")
    with closing(HTTPConnection(address, timeout=10)) as connection:
        connection.request("GET", "/")
        connection.getresponse().read()
        begun = time.monotonic()
        started.process.send_signal(signum)
        assert started.wait(timeout=10) == 0
        assert time.monotonic() - begun < 5
    assert "Traceback" not in started.output


def test_a_port_in_use_is_named(env: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cli = run_cli("web", "--listen", f"127.0.0.1:{port}", cwd=tmp_path, env=env)
    assert cli.process.returncode == 2
    refusal = f"the page cannot listen on 127.0.0.1:{port}: Address already in use, check "
    assert cli.output.startswith(f"ackfirst: {refusal}")
    assert len(cli.output.splitlines()) == 1


def test_a_redis_that_is_not_there_is_named(env: dict[str, str], tmp_path: Path) -> None:
    url = f"redis://:hidden@127.0.0.1:{free_port()}/0"
    cli = run_cli("web", cwd=tmp_path, env=env | {"ACKFIRST_REDIS_URL": url})
    assert cli.process.returncode == 2
    assert cli.output.startswith("ackfirst: cannot reach Redis at ")
    assert "check ACKFIRST_REDIS_URL" in cli.output
    assert "hidden" not in cli.output
    assert len(cli.output.splitlines()) == 1


def test_a_data_folder_that_cannot_be_used_is_named(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    cli = run_cli("web", cwd=tmp_path, env=env)
    assert cli.process.returncode == 2
    assert "check ACKFIRST_DATA_DIR or set ACKFIRST_WEB_PASSWORD" in cli.output
    assert len(cli.output.splitlines()) == 1


def test_an_address_that_is_none_is_refused(env: dict[str, str], tmp_path: Path) -> None:
    cli = run_cli("web", "--listen", "9181", cwd=tmp_path, env=env)
    assert cli.process.returncode == 2
    assert "use HOST:PORT" in cli.output


def test_settings_of_rq_dashboard_itself_have_no_effect(env: dict[str, str], tmp_path: Path) -> None:
    theirs = {
        "RQ_DASHBOARD_REDIS_URL": f"redis://127.0.0.1:{free_port()}",
        "RQ_DASHBOARD_USERNAME": "theirs",
        "RQ_DASHBOARD_PASSWORD": "theirs",
        "RQ_DASHBOARD_SETTINGS": "/nothing",
    }
    with Cli("web", cwd=tmp_path, env=env | theirs) as cli:
        cli.wait_for_output(STARTED)
        assert status(cli, password="theirs", user="theirs") == 401
        password = (tmp_path / "data" / "web-password").read_text().strip()
        assert status(cli, path="/rq/0/data/queues.json", password=password) == 200


def test_it_listens_on_ipv6(env: dict[str, str], tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with Cli("web", "--listen", "[::1]:0", cwd=tmp_path, env=env) as cli:
        cli.wait_for_output(STARTED)
        assert line(cli)["url"].startswith("http://[::1]:")
        assert status(cli) == 401


def test_a_socket_in_a_folder_with_spaces_is_found(redis_folder: Path, env: dict[str, str], tmp_path: Path) -> None:
    folder = redis_folder / "a b"
    folder.mkdir()
    server = RedisProcess(folder).start()
    try:
        url = f"unix://{quote(str(server.socket))}"
        with Cli("web", cwd=tmp_path, env=env | {"ACKFIRST_REDIS_URL": url}) as cli:
            cli.wait_for_output(STARTED)
            password = (tmp_path / "data" / "web-password").read_text().strip()
            assert status(cli, path="/rq/0/view/workers", password=password) == 200
    finally:
        server.kill()
