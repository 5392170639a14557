"""Access to the page: passwords, roles, and the headers that make a browser refuse."""

import re
from typing import Any

import pytest
from redis import Redis
from werkzeug.datastructures import Authorization

from ackfirst.ops.rq_dashboard.app import create_app as create_rq_app
from ackfirst.ops.web.access import Hosts
from ackfirst.ops.web.credentials import ATTEMPTS, SECONDS_PER_ATTEMPT, AttemptLimiter
from ackfirst.shared.queue import keys
from tests.support.web import LANE, LOGIN, OWN_PAGE, VIEWER_LOGIN, Browser, contents, failed_job, page

LANE_NAME = LANE.removeprefix("ackfirst-")
PAGES = ["/", "/quarantine/", "/lanes/", f"/lanes/{LANE_NAME}", "/handlers/"]
RQ_PAGES = ["/rq/", "/rq/0/view/jobs", "/rq/0/view/workers", "/rq/0/view/job/m-failed"]
EVERYTHING = [
    *PAGES,
    "/static/page.css",
    "/static/page.js",
    "/nothing",
    *RQ_PAGES,
    "/rq/0/data/queues.json",
    "/rq/static/css/main.css",
    "/rq/ackfirst/ackfirst.js",
    "/rq/favicon.ico",
    "/rq/nothing",
]
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*text/template)([^>]*)>")


@pytest.mark.parametrize("path", EVERYTHING)
def test_nothing_is_shown_without_the_password(redis_sync: Redis, path: str) -> None:
    answer = page(redis_sync).test_client().get(path)
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
    assert page(redis_sync).test_client().get("/", auth=login).status_code == 401


@pytest.mark.parametrize("header", ["Basic \xff\xfe", "Basic %%%", "Basic", "\xff", "Digest username=\xff"])
def test_a_header_that_is_no_login_is_no_error_of_ours(redis_sync: Redis, header: str) -> None:
    answer = page(redis_sync).test_client().get("/", headers={"Authorization": header})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", PAGES + RQ_PAGES)
def test_the_password_lets_in(redis_sync: Redis, path: str) -> None:
    failed_job(redis_sync)
    redis_sync.sadd(keys.LANES, LANE_NAME)
    assert page(redis_sync).test_client().get(path, auth=LOGIN).status_code == 200


def addresses(connection: Redis, method: str) -> list[str]:
    """Every address of the page and of rq-dashboard that takes a method."""
    names = {
        "job_id": "m-failed",
        "queue_name": LANE,
        "registry_name": "failed",
        "filename": "page.css",
        "lane": LANE_NAME,
        "entry_id": "1-0",
        "instance_number": "0",
        "order": "asc",
        "per_page": "8",
        "page": "1",
        "event_id": "m-failed",
        "replay_id": "r-1",
    }
    rq = create_rq_app(connection, redis_name="", protect=lambda app: None)
    return [
        prefix + app.url_map.bind("localhost").build(rule.endpoint, {name: names[name] for name in rule.arguments})
        for prefix, app in (("", page(connection)), ("/rq", rq))
        for rule in app.url_map.iter_rules()
        if method in (rule.methods or ())
    ]


def changing_paths(connection: Redis) -> list[str]:
    return addresses(connection, "POST")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_only_post_changes_anything(redis_sync: Redis, method: str) -> None:
    failed_job(redis_sync)
    redis_sync.sadd(keys.LANES, LANE_NAME)
    before = contents(redis_sync)
    paths = {*changing_paths(redis_sync), *addresses(redis_sync, "GET")}
    assert len(paths) > 20
    browser = Browser(redis_sync)
    for path in paths:
        answer = browser.client.open(path, method=method, auth=LOGIN, headers=OWN_PAGE, buffered=True)
        assert answer.status_code != 500, path
    assert contents(redis_sync) == before


def test_what_only_acts_answers_405_to_a_link(redis_sync: Redis) -> None:
    only_acting = set(changing_paths(redis_sync)) - set(addresses(redis_sync, "GET"))
    assert len(only_acting) >= 7
    browser = Browser(redis_sync)
    for path in only_acting:
        answer = browser.get(path)
        assert answer.status_code == 405, path
        assert "GET" not in answer.headers["Allow"]


def test_a_viewer_changes_nothing_and_sees_no_personal_data(redis_sync: Redis) -> None:
    """Checked by the server: a hidden button stops nobody."""
    failed_job(redis_sync)
    redis_sync.sadd(keys.LANES, LANE_NAME)
    before = contents(redis_sync)
    viewer = Browser(redis_sync, login=VIEWER_LOGIN)
    for path in changing_paths(redis_sync):
        answer = viewer.post(path)
        assert answer.status_code == 403, path
        assert "look and change nothing" in answer.text
    assert contents(redis_sync) == before


@pytest.mark.parametrize("path", PAGES)
def test_a_viewer_sees_every_page_without_a_form_that_changes_anything(redis_sync: Redis, path: str) -> None:
    failed_job(redis_sync)
    redis_sync.sadd(keys.LANES, LANE_NAME)
    answer = Browser(redis_sync, login=VIEWER_LOGIN).get(path)
    assert answer.status_code == 200
    assert 'method="post"' not in answer.text
    assert "read only" in answer.text


@pytest.mark.parametrize("password", ["larch-Öl-7", ""])
def test_a_viewer_has_a_password_of_its_own(redis_sync: Redis, password: str) -> None:
    login = Authorization("basic", {"username": "viewer", "password": password})
    assert page(redis_sync).test_client().get("/", auth=login).status_code == 401


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
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
        {"Origin": "http://[::1"},
        # DNS rebinding: the page's own name was made to lead here, so browser and server see one site.
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example", "Host": "evil.example"},
        {"Sec-Fetch-Site": "same-origin", "Host": "evil.example"},
        {"Origin": "http://evil.example", "Host": "evil.example"},
        {"Origin": "http://localhost.evil.example", "Host": "localhost.evil.example"},
    ],
)
def test_a_foreign_page_cannot_press_a_button(redis_sync: Redis, headers: dict[str, str]) -> None:
    failed_job(redis_sync)
    before = contents(redis_sync)
    browser = Browser(redis_sync)
    for path in changing_paths(redis_sync):
        assert browser.client.post(path, auth=LOGIN, headers=headers).status_code == 403
    assert contents(redis_sync) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
        {"Origin": "http://localhost"},
        {"Referer": "http://localhost/rq/0/view/jobs"},
        {"Origin": "http://10.0.0.5:9181", "Host": "10.0.0.5:9181"},
        {"Origin": "http://[::1]:9181", "Host": "[::1]:9181"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://ops.example"},  # a proxy that changes the host
        {"Origin": "https://OPS.example", "Host": "ops.example"},
    ],
)
def test_our_own_pages_can_press_a_button(redis_sync: Redis, headers: dict[str, str]) -> None:
    failed_job(redis_sync)
    browser = Browser(redis_sync, hosts={"ops.example"})
    answer = browser.client.post("/rq/job/m-failed/requeue", auth=LOGIN, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", EVERYTHING)
def test_every_answer_tells_the_browser_to_load_and_run_nothing_else(redis_sync: Redis, path: str) -> None:
    for answer in (Browser(redis_sync).get(path), page(redis_sync).test_client().get(path)):
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        if path.startswith("/rq/"):
            assert "default-src 'self'" in policy
            assert "'unsafe-inline'" not in policy.partition("style-src")[0]
        else:
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_script_and_no_style_of_its_own(redis_sync: Redis, path: str) -> None:
    failed_job(redis_sync)
    text = Browser(redis_sync).get(path).text
    assert not INLINE_SCRIPT.findall(text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)


@pytest.mark.parametrize("path", RQ_PAGES)
def test_the_scripts_of_rq_dashboard_run_under_its_policy(redis_sync: Redis, path: str) -> None:
    failed_job(redis_sync)
    answer = Browser(redis_sync).get(path)
    nonce = re.search(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
    assert nonce is not None
    scripts = INLINE_SCRIPT.findall(answer.text)
    assert scripts
    assert all(f'nonce="{nonce[1]}"' in attributes for attributes in scripts)


def test_a_nonce_is_used_once(redis_sync: Redis) -> None:
    browser = Browser(redis_sync)
    policies = {browser.get("/rq/").headers["Content-Security-Policy"] for _ in range(3)}
    assert len(policies) == 3


@pytest.mark.parametrize("path", PAGES + RQ_PAGES)
def test_a_page_loads_everything_from_here_and_finds_it(redis_sync: Redis, path: str) -> None:
    failed_job(redis_sync)
    browser = Browser(redis_sync)
    text = browser.get(path).text
    loaded = re.findall(r'<(?:script|img)[^>]*\bsrc="([^"]+)"', text) + re.findall(r'<link[^>]*\bhref="([^"]+)"', text)
    assert len(loaded) >= 3
    for address in loaded:
        assert address.startswith("/"), address
        assert browser.get(address).status_code == 200, address


def test_pages_are_not_kept_by_the_browser(redis_sync: Redis) -> None:
    browser = Browser(redis_sync)
    for path in (*PAGES, "/nothing", "/rq/", "/rq/0/data/queues.json"):
        assert browser.get(path).headers["Cache-Control"] == "no-store", path


def wrong(address: str = "192.0.2.1") -> dict[str, Any]:
    login = Authorization("basic", {"username": "ackfirst", "password": "guess"})
    return {"auth": login, "environ_base": {"REMOTE_ADDR": address}}


def right(address: str = "192.0.2.1") -> dict[str, Any]:
    return {"auth": LOGIN, "environ_base": {"REMOTE_ADDR": address}}


def test_passwords_cannot_be_tried_without_end(redis_sync: Redis) -> None:
    app = page(redis_sync)
    tried = [app.test_client().get("/", **wrong()).status_code for _ in range(ATTEMPTS + 3)]
    assert tried == [401] * ATTEMPTS + [429] * 3
    late = app.test_client().get("/", **right())
    assert late.status_code == 429, "a right password among them would be told apart"
    assert int(late.headers["Retry-After"]) > 0


def test_guesses_from_one_address_lock_out_no_other(redis_sync: Redis) -> None:
    app = page(redis_sync)
    for _ in range(3 * ATTEMPTS):
        app.test_client().get("/", **wrong())
    assert app.test_client().get("/", **right("192.0.2.2")).status_code == 200


def test_a_browser_that_logged_in_before_is_not_locked_out_by_guesses_behind_the_same_proxy(redis_sync: Redis) -> None:
    app = page(redis_sync)
    browser = app.test_client()
    assert browser.get("/", **right()).status_code == 200
    for _ in range(3 * ATTEMPTS):
        app.test_client().get("/", **wrong())
    assert browser.get("/", **right()).status_code == 200
    forged = app.test_client()
    forged.set_cookie("ackfirst-known", "number." + 64 * "0")
    assert forged.get("/", **right()).status_code == 429


def test_the_right_password_uses_up_no_attempts(redis_sync: Redis) -> None:
    app = page(redis_sync)
    used = [app.test_client().get("/", **right()).status_code for _ in range(3 * ATTEMPTS)]
    assert used == [200] * 3 * ATTEMPTS


def test_requests_without_a_password_use_up_no_attempts(redis_sync: Redis) -> None:
    """The container's health check is one."""
    app = page(redis_sync)
    for _ in range(3 * ATTEMPTS):
        assert app.test_client().get("/", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 401
    assert app.test_client().get("/", **right()).status_code == 200


def test_an_attempt_comes_back_after_some_seconds() -> None:
    now = [0.0]
    limiter = AttemptLimiter(clock=lambda: now[0])
    assert [limiter.take("192.0.2.1") for _ in range(ATTEMPTS + 1)] == [True] * ATTEMPTS + [False]
    now[0] += SECONDS_PER_ATTEMPT
    assert [limiter.take("192.0.2.1") for _ in range(2)] == [True, False]


def test_an_ipv6_client_has_one_count_for_its_whole_network() -> None:
    limiter = AttemptLimiter(clock=lambda: 0.0)
    taken = [limiter.take(f"2001:db8::{number:x}") for number in range(ATTEMPTS + 1)]
    assert taken == [True] * ATTEMPTS + [False]
    assert limiter.take("2001:db8:0:1::1")


def test_the_memory_of_attempts_is_bounded() -> None:
    limiter = AttemptLimiter(size=100, clock=lambda: 0.0)
    for number in range(1000):
        limiter.take(f"10.0.{number // 256}.{number % 256}")
    assert len(limiter) == 100


@pytest.mark.parametrize(
    ("sender", "host", "own"),
    [
        ("http://localhost:9181", "localhost:9181", True),
        ("http://localhost:9181", "localhost:9182", False),
        ("http://ops.example:9181/0/view/jobs", "ops.example:9181", True),
        ("http://other.example", "other.example", False),
        ("http://ops.example.evil.example", "ops.example.evil.example", False),
        ("null", "localhost", False),
        ("", "", False),
    ],
)
def test_the_hosts_that_are_ours_are_named(sender: str, host: str, own: bool) -> None:
    assert Hosts(["ops.example"]).own_page(sender, host) is own
