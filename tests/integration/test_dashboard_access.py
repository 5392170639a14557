"""Who gets in, and what a browser is told to refuse."""

import re

import pytest
from redis import Redis
from werkzeug.datastructures import Authorization

from ackfirst.ops.dashboard.server import is_exposed
from tests.support.dashboard import LANE, LOGIN, OWN_PAGE, Browser, contents, dashboard, failed_job

PAGES = ["/", "/0/view/jobs", "/0/view/workers", "/0/view/job/m-failed"]
EVERYTHING = [*PAGES, "/0/data/queues.json", "/static/css/main.css", "/ackfirst/trouble.js", "/favicon.ico", "/nothing"]
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*text/template)([^>]*)>")


@pytest.mark.parametrize("path", EVERYTHING)
def test_nothing_is_shown_without_the_password(redis_sync: Redis, path: str) -> None:
    answer = dashboard(redis_sync).test_client().get(path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "login",
    [
        Authorization("basic", {"username": "ackfirst", "password": "larch"}),
        Authorization("basic", {"username": "ackfirst", "password": ""}),
        Authorization("basic", {"username": "other", "password": "larch-Öl-7"}),
        Authorization("bearer", token="larch-Öl-7"),
    ],
)
def test_other_credentials_do_not_let_in(redis_sync: Redis, login: Authorization) -> None:
    assert dashboard(redis_sync).test_client().get("/", auth=login).status_code == 401


@pytest.mark.parametrize("path", PAGES)
def test_the_password_lets_in(redis_sync: Redis, path: str) -> None:
    failed_job(redis_sync)
    assert dashboard(redis_sync).test_client().get(path, auth=LOGIN).status_code == 200


def changing_paths(connection: Redis) -> list[str]:
    adapter = dashboard(connection).url_map.bind("localhost")
    names = {"job_id": "m-failed", "queue_name": LANE, "registry_name": "failed"}
    rules = [rule for rule in adapter.map.iter_rules() if "POST" in (rule.methods or ())]
    return [adapter.build(rule.endpoint, {name: names[name] for name in rule.arguments}) for rule in rules]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_only_post_changes_anything(redis_sync: Redis, method: str) -> None:
    failed_job(redis_sync)
    before = contents(redis_sync)
    paths = changing_paths(redis_sync)
    assert len(paths) == 5
    for path in paths:
        answer = Browser(redis_sync).client.open(path, method=method, auth=LOGIN, headers=OWN_PAGE)
        assert answer.status_code == 405, path
        assert "GET" not in answer.headers["Allow"]
    assert contents(redis_sync) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
        {"Origin": "http://evil.example", "Referer": "http://localhost/"},
        {"Referer": "http://evil.example/?http://localhost/"},
    ],
)
def test_a_page_of_somebody_else_cannot_press_a_button(redis_sync: Redis, headers: dict[str, str]) -> None:
    failed_job(redis_sync)
    before = contents(redis_sync)
    for path in changing_paths(redis_sync):
        assert Browser(redis_sync).client.post(path, auth=LOGIN, headers=headers).status_code == 403
    assert contents(redis_sync) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://proxy.example"},
        {"Origin": "http://localhost"},
        {"Referer": "http://localhost/0/view/jobs"},
    ],
)
def test_our_own_pages_can_press_a_button(redis_sync: Redis, headers: dict[str, str]) -> None:
    failed_job(redis_sync)
    answer = Browser(redis_sync).client.post("/job/m-failed/requeue", auth=LOGIN, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", EVERYTHING)
def test_every_answer_tells_the_browser_to_load_and_run_nothing_else(redis_sync: Redis, path: str) -> None:
    for answer in (Browser(redis_sync).get(path), dashboard(redis_sync).test_client().get(path)):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "'unsafe-inline'" not in policy.partition("style-src")[0]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", PAGES)
def test_the_scripts_of_a_page_run_under_its_policy(redis_sync: Redis, path: str) -> None:
    failed_job(redis_sync)
    answer = Browser(redis_sync).get(path)
    nonce = re.search(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
    assert nonce is not None
    scripts = INLINE_SCRIPT.findall(answer.text)
    assert scripts
    assert all(f'nonce="{nonce[1]}"' in attributes for attributes in scripts)


def test_a_nonce_is_used_once(redis_sync: Redis) -> None:
    browser = Browser(redis_sync)
    policies = {browser.get("/").headers["Content-Security-Policy"] for _ in range(3)}
    assert len(policies) == 3


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_everything_from_here_and_finds_it(redis_sync: Redis, path: str) -> None:
    failed_job(redis_sync)
    browser = Browser(redis_sync)
    page = browser.get(path).text
    loaded = re.findall(r'<(?:script|img)[^>]*\bsrc="([^"]+)"', page) + re.findall(r'<link[^>]*\bhref="([^"]+)"', page)
    assert len(loaded) >= 7
    for address in loaded:
        assert address.startswith("/"), address
        assert browser.get(address).status_code == 200, address


def test_pages_are_not_kept_by_the_browser(redis_sync: Redis) -> None:
    assert Browser(redis_sync).get("/0/data/queues.json").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "exposed"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True), ("::", True), ("fe80::1%eth0", True)]
)
def test_only_loopback_counts_as_not_exposed(host: str, exposed: bool) -> None:
    assert is_exposed(host) is exposed
