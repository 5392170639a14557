"""A tunnel is found or opened with the agent that the developer has, and ends with it."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ackfirst.ops.tunnel import OpenTunnel, Tunnel, has_ngrok_token, ngrok_tunnel_to
from ackfirst.shared.errors import ConfigurationError
from tests.support.tunnel_agents import CLOUDFLARED, NGROK, install
from tests.support.waiting import wait_until

PORT = 8080
NO_AGENT = "127.0.0.1:1"


def opened(kind: str, folder: Path, *, ngrok_api: str = NO_AGENT, **environ: str) -> OpenTunnel:
    environment = {"HOME": str(folder), "PATH": str(folder / "bin"), **environ}
    return OpenTunnel(
        kind, port=PORT, log_file=folder / "data" / "tunnel.log", environ=environment, ngrok_api=ngrok_api
    )


@contextmanager
def running_agent(answer: object) -> Iterator[str]:
    class Api(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_url_of_a_tunnel_that_somebody_else_keeps_is_taken_as_it_is(tmp_path: Path) -> None:
    with opened("https://hooks.example.com/dev/", tmp_path) as open_tunnel:
        assert open_tunnel.tunnel == Tunnel("https://hooks.example.com/dev", "given", is_temporary=False)
        assert not open_tunnel.has_ended


def test_an_ngrok_agent_that_serves_our_port_is_used(tmp_path: Path) -> None:
    tunnels = [{"public_url": "https://mine.ngrok.app", "config": {"addr": f"localhost:{PORT}"}}]
    with running_agent({"tunnels": tunnels}) as api, opened("auto", tmp_path, ngrok_api=api) as open_tunnel:
        assert open_tunnel.tunnel == Tunnel("https://mine.ngrok.app", "ngrok", is_temporary=False)


@pytest.mark.parametrize(
    "answer",
    [
        {"tunnels": [{"public_url": "https://x.ngrok.app", "config": {"addr": "http://localhost:9999"}}]},
        {"tunnels": [{"public_url": "https://x.ngrok.app", "config": {"addr": f"http://10.0.0.7:{PORT}"}}]},
        {"tunnels": [{"public_url": f"tcp://x.ngrok.app:{PORT}", "config": {"addr": f"localhost:{PORT}"}}]},
        {"tunnels": "none"},
        ["something", "else"],
    ],
)
def test_an_agent_that_serves_something_else_is_not_taken_for_ours(answer: object) -> None:
    with running_agent(answer) as api:
        assert ngrok_tunnel_to(PORT, api) is None


def test_ngrok_is_started_with_a_token_and_ends_with_us(tmp_path: Path) -> None:
    path = install(tmp_path / "bin", ngrok=NGROK, cloudflared=CLOUDFLARED)
    with opened("auto", tmp_path, PATH=path, NGROK_AUTHTOKEN="good") as open_tunnel:
        assert open_tunnel.tunnel == Tunnel("https://fixed.ngrok-free.app", "ngrok", is_temporary=False)
        assert (tmp_path / "data" / "tunnel.log").stat().st_mode & 0o777 == 0o600
    assert open_tunnel.has_ended


def test_cloudflared_is_started_where_ngrok_has_no_token(tmp_path: Path) -> None:
    path = install(tmp_path / "bin", ngrok=NGROK, cloudflared=CLOUDFLARED)
    with opened("auto", tmp_path, PATH=path) as open_tunnel:
        url = "https://calm-river-stone.trycloudflare.com"
        assert open_tunnel.tunnel == Tunnel(url, "cloudflared", is_temporary=True)
    assert open_tunnel.has_ended


def test_an_agent_that_opens_no_tunnel_is_quoted(tmp_path: Path) -> None:
    path = install(tmp_path / "bin", ngrok=NGROK, cloudflared=CLOUDFLARED)
    with pytest.raises(ConfigurationError, match="ERR_NGROK_4018"):
        opened("ngrok", tmp_path, PATH=path, NGROK_AUTHTOKEN="bad").__enter__()
    with pytest.raises(ConfigurationError, match="no such host"):
        opened("cloudflared", tmp_path, PATH=path, CLOUDFLARED_FAILS="1").__enter__()


def test_without_any_agent_the_message_says_what_was_looked_for_and_what_helps(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        opened("auto", tmp_path).__enter__()
    for words in (f"no ngrok agent serves port {PORT}", "ngrok config add-authtoken", "cloudflared", "simulate"):
        assert words in str(caught.value)
    with pytest.raises(ConfigurationError, match="ngrok is not installed"):
        opened("ngrok", tmp_path).__enter__()


def test_an_agent_that_dies_is_noticed(tmp_path: Path) -> None:
    path = install(tmp_path / "bin", cloudflared=CLOUDFLARED)
    with opened("auto", tmp_path, PATH=path, CLOUDFLARED_LIVES="0.1") as open_tunnel:
        wait_until(lambda: open_tunnel.has_ended, timeout=10)


def test_a_token_is_looked_for_where_ngrok_keeps_it(tmp_path: Path) -> None:
    assert not has_ngrok_token({"HOME": str(tmp_path)})
    assert has_ngrok_token({"HOME": str(tmp_path), "NGROK_AUTHTOKEN": "x"})
    config = tmp_path / ".config" / "ngrok" / "ngrok.yml"
    config.parent.mkdir(parents=True)
    config.write_text("version: 3\nagent:\n  authtoken: abc\n")
    assert has_ngrok_token({"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff\xfe not JSON",
        b"[" * 100_000,
        b'{"tunnels": [1, null, "x", {"public_url": 5}, {"public_url": "https://a.b", "config": ["addr"]}]}',
        b'{"tunnels": [{"public_url": "https://a.b", "config": {"addr": "http://[8080"}}]}',
        b'{"tunnels": "' + b"x" * (3 << 20),
        *(
            json.dumps({"tunnels": [{"public_url": url, "config": {"addr": f"localhost:{PORT}"}}]}).encode()
            for url in (
                "http://plain.ngrok.app",
                "javascript:alert(1)",
                "https://user:secret@evil.example.com",
                "https://evil.example.com/path?query=1",
                "https://evil.example.com\\x1b[2J",
                "https://evil.example.com\r\nX-Header: 1",
                "https://" + "a" * 5000 + ".example.com",
            )
        ),
    ],
    ids=range(12),
)
def test_a_hostile_answer_of_an_agents_api_is_no_tunnel(answer: bytes) -> None:
    with running_agent(answer) as api:
        assert ngrok_tunnel_to(PORT, api) is None


@pytest.mark.parametrize("api", ["127.0.0.1:port", "[::1", "", "nowhere.invalid:80", "127.0.0.1:99999"])
def test_an_address_of_an_api_that_is_none_is_no_agent(api: str) -> None:
    assert ngrok_tunnel_to(PORT, api) is None


HOSTILE_NGROK = """import json, sys, time
print("x" * 3_000_000)
print("[" * 100_000)
print(json.dumps({"msg": "starting web service", "addr": "evil.example.com:80"}))
print(json.dumps({"msg": "starting web service", "addr": ["127.0.0.1:1"]}))
print(json.dumps({"err": "\\x1b[2J\\x07 clears the screen " + "y" * 5000}), flush=True)
sys.exit(1)
"""

HOSTILE_CLOUDFLARED = """import sys
print('ERR failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": no such host', flush=True)
print("INF https://calm-river.trycloudflare.com.evil.example.com", flush=True)
print("INF \\x1b]0;title\\x07 http://calm-river.trycloudflare.com", flush=True)
sys.exit(1)
"""


def test_lines_of_any_length_and_control_characters_of_an_agent_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = install(tmp_path / "bin", ngrok=HOSTILE_NGROK)
    with (
        pytest.raises(ConfigurationError, match="opened no tunnel") as raised,
        opened("ngrok", tmp_path, PATH=path, NGROK_AUTHTOKEN="good"),
    ):
        pass
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 3000


def test_cloudflareds_own_api_and_a_longer_name_are_no_tunnel(tmp_path: Path) -> None:
    path = install(tmp_path / "bin", cloudflared=HOSTILE_CLOUDFLARED)
    with (
        pytest.raises(ConfigurationError, match="no such host") as raised,
        opened("cloudflared", tmp_path, PATH=path),
    ):
        pass
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("url", ["ftp://x", "https://", "https://[::1", "hooks.example.com", "https://a/\x1b[2J", ""])
def test_a_url_of_ones_own_that_nexmo_could_not_call_is_refused(url: str, tmp_path: Path) -> None:
    path = install(tmp_path / "bin", cloudflared=CLOUDFLARED)
    with pytest.raises(ConfigurationError, match="--tunnel"), opened(url, tmp_path, PATH=path):
        pass
