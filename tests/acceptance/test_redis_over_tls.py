"""A Redis that speaks TLS only and requires a password: all roles work with it, and none trusts another certificate."""

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ackfirst.shared.queue import keys
from tests.support.certificates import Authority
from tests.support.factories import LANE, inbound_message
from tests.support.handlers import calls, write_handlers
from tests.support.processes import Cli, run_cli
from tests.support.stack import ingest, settings, work_until_empty
from tests.support.tls_redis import TlsRedis
from tests.support.waiting import wait_until

ROLES = ["ingest", "worker", "web"]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[TlsRedis]:
    with TlsRedis(tmp_path / "redis", authority) as running:
        yield running


def env(url: str, folder: Path, **more: str) -> dict[str, str]:
    here = {f"ACKFIRST_{name}LISTEN": "127.0.0.1:0" for name in ("", "ADMIN_", "WEB_")}
    return {**settings(url, folder, ACKFIRST_ACK_DEADLINE="5"), **here, **more}


def refusal(role: str, folder: Path, url: str) -> str:
    """The one line with which a role does not start."""
    ended = run_cli(role, cwd=folder, env=env(url, folder))
    assert ended.process.returncode == 2, ended.output
    (line,) = ended.output.splitlines()
    assert "berth" not in line
    return line


def test_a_callback_reaches_its_handler_over_tls(server: TlsRedis, tmp_path: Path) -> None:
    handlers = write_handlers(tmp_path, "@on()\ndef run(event):\n    note(event.text)\n")
    everything = env(server.url(), tmp_path, ACKFIRST_HANDLERS=handlers, ACKFIRST_REQUIRE_SAFE_REDIS="1")
    with ingest(tmp_path, everything) as nexmo:
        assert nexmo.post_json(inbound_message(text="over TLS")) == 200
        with server.client() as client:
            assert client.llen(keys.queue(LANE)) == 1, "in Redis, not in the spool"
    work_until_empty(tmp_path, everything)
    with server.client() as client:
        assert calls(client) == ["over TLS"]


def test_a_pool_of_workers_runs_over_tls(server: TlsRedis, tmp_path: Path) -> None:
    handlers = write_handlers(tmp_path, "@on()\nasync def run(event):\n    note(event.text)\n")
    everything = env(server.url(), tmp_path, ACKFIRST_HANDLERS=handlers)
    with ingest(tmp_path, everything) as nexmo, Cli("worker", cwd=tmp_path, env=everything, name="worker") as worker:
        worker.wait_for_output("worker.started", timeout=30)
        assert nexmo.post_json(inbound_message()) == 200
        with server.client() as client:
            wait_until(lambda: calls(client) == ["Moor at berth 7?"], timeout=30)
            wait_until(lambda: bool(client.exists(keys.JANITOR_LEASE)), timeout=30, message="the janitor works too")


def test_a_wrong_secret_is_mended_over_tls(server: TlsRedis, tmp_path: Path) -> None:
    wrong = env(server.url(), tmp_path, ACKFIRST_SIGNATURE_SECRET="a-secret-that-nobody-signs-with")
    with ingest(tmp_path, wrong) as nexmo:
        assert nexmo.post_json(inbound_message()) == 200
    right = env(server.url(), tmp_path)
    listed = run_cli("quarantine", "list", "--json", cwd=tmp_path, env=right)
    assert json.loads(listed.output)["verdict"] == "suspect"
    assert run_cli("quarantine", "recheck", cwd=tmp_path, env=right).process.returncode == 0
    with server.client() as client:
        assert client.llen(keys.queue(LANE)) == 1


def test_the_page_shows_a_redis_over_tls(server: TlsRedis, tmp_path: Path) -> None:
    everything = env(server.url(), tmp_path, ACKFIRST_WEB_PASSWORD="larch-7")
    with Cli("web", cwd=tmp_path, env=everything) as page:
        page.wait_for_output('"web.started"')
        (line,) = [text for text in page.output.splitlines() if "web.started" in text]
        request = urllib.request.Request(json.loads(line)["url"] + "rq/0/data/queues.json")
        request.add_header("Authorization", "Basic " + base64.b64encode(b"ackfirst:larch-7").decode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("role", ROLES)
def test_a_server_that_another_authority_vouches_for_is_refused(role: str, server: TlsRedis, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    line = refusal(role, tmp_path, server.url(authority=other.file))
    assert "its certificate is not accepted: self-signed certificate in certificate chain" in line
    assert line.endswith("check ACKFIRST_REDIS_URL")


@pytest.mark.parametrize("role", ROLES)
def test_an_authority_that_is_not_there_is_named(role: str, server: TlsRedis, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.pem"
    line = refusal(role, tmp_path, server.url(authority=missing))
    assert f"ssl_ca_certs={missing} cannot be read: No such file or directory, check ACKFIRST_REDIS_URL" in line


def test_a_file_that_is_no_certificate_is_named(server: TlsRedis, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    line = refusal("ingest", tmp_path, server.url(authority=tmp_path / "ca.pem"))
    assert "ca.pem holds no certificate (no certificate or crl found), check ACKFIRST_REDIS_URL" in line


@pytest.mark.parametrize("role", ROLES)
def test_a_wrong_password_is_refused_over_tls_too(role: str, server: TlsRedis, tmp_path: Path) -> None:
    line = refusal(role, tmp_path, server.url(password="berth-8"))
    assert "invalid username-password pair" in line


def test_an_expired_certificate_does_not_keep_ingest_from_answering(authority: Authority, tmp_path: Path) -> None:
    with TlsRedis(tmp_path / "expired", authority, days=-1) as server:
        everything = env(server.url(), tmp_path)
        with ingest(tmp_path, everything) as nexmo:
            assert nexmo.post_json(inbound_message()) == 200
        said = (tmp_path / "ingest.out").read_text()
        assert "its certificate is not accepted: certificate has expired" in said
        spool = run_cli("spool", "--json", cwd=tmp_path, env=everything)
        assert json.loads(spool.output)["records"] == 1
