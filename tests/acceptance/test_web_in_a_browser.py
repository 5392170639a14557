"""The operator's page in a real browser, over a real ingest, worker, record and Redis."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.folders import new_short_folder
from tests.support.processes import ROOT
from tests.support.redis_process import RedisProcess
from tests.support.web_stack import PASSWORD, VIEWER_PASSWORD, WebStack, web_stack

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here"),
    pytest.mark.timeout(300),
]

AXE = (ROOT / "tests" / "vendor" / "axe-core" / "axe.min.js").read_text()
#: Milliseconds; a loaded machine needs some.
PATIENCE = 60_000

PAGES = ["/", "/messages/", "/dead/", "/quarantine/", "/lanes/", "/replays/", "/handlers/"]

#: Collects violations of the policy, which a browser reports to the document.
LISTEN = "addEventListener('securitypolicyviolation', e => console.error('CSP: ' + e.violatedDirective));"

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api.expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebStack]:
    with new_short_folder() as folder:
        server = RedisProcess(folder).start()
        try:
            with web_stack(tmp_path_factory.mktemp("web"), server) as running:
                yield running
        finally:
            server.kill()


@pytest.fixture
def open_page(browser: Any, stack: WebStack) -> Iterator[Open]:
    """Opens a page in a fresh context; at the end its console must be free of errors and reports."""
    contexts: list[Any] = []
    said: list[str] = []

    def open_(
        path: str = "/", *, user: str = "ackfirst", password: str = PASSWORD, may_fail: bool = False, **options: Any
    ) -> Any:
        credentials = {"username": user, "password": password}
        context = browser.new_context(http_credentials=credentials, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(LISTEN)
        page = context.new_page()
        if not may_fail:
            page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(stack.page + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert said == []


def test_a_message_is_found_by_its_id_and_its_number(stack: WebStack, open_page: Open) -> None:
    message_id = stack.post(**{"from": "447700900999"})
    page = open_page("/messages/")
    page.get_by_role("searchbox").fill(message_id)
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_url(re.compile(r"/message\?id="))
    sync_api.expect(page.locator(".timeline")).to_contain_text("browserhandlers.answer")
    sync_api.expect(page.locator(".timeline")).to_contain_text("Ended")
    assert "447700900999" not in page.content()
    page.goto(stack.page + "/messages/")
    sync_api.expect(page.locator("#events")).to_contain_text("447•••••999")
    page.get_by_role("searchbox").fill("+44 7700 900999")
    page.get_by_role("button", name="Search").click()
    sync_api.expect(page.locator("#events tbody tr")).to_have_count(1)


def test_personal_data_is_shown_on_request(stack: WebStack, open_page: Open) -> None:
    message_id = stack.post(**{"from": "447700900998"})
    page = open_page("/messages/")
    sync_api.expect(page.locator("#events")).to_contain_text("447•••••998")
    page.goto(f"{stack.page}/message?id={message_id}")
    page.get_by_role("button", name="Show personal data").click()
    sync_api.expect(page.locator("pre.raw")).to_contain_text("Moor at berth 7?")
    sync_api.expect(page.get_by_text("This look is recorded")).to_be_visible()
    page.get_by_role("link", name="Hide personal data").click()
    sync_api.expect(page.locator("pre.raw")).to_have_count(0)


def test_times_are_those_of_the_reader_and_utc_on_hover(stack: WebStack, open_page: Open) -> None:
    message_id = stack.post()
    page = open_page("/messages/", timezone_id="Asia/Tokyo")
    sync_api.expect(page.locator(f"a[href*='{message_id}']")).to_have_count(1)
    shown = page.locator("#events time").first
    utc = shown.get_attribute("title")
    hour = int(utc[11:13])
    assert utc.endswith(" UTC")
    assert f"{(hour + 9) % 24:02}:{utc[14:19]}" in shown.inner_text()


def test_a_dead_letter_is_replayed_until_it_is_processed(stack: WebStack, open_page: Open) -> None:
    stack.break_handler()
    try:
        message_id = stack.post()
        page = open_page("/dead/")
        cause = page.get_by_role("link", name="ConnectionError")
        sync_api.expect(cause).to_be_visible()
    finally:
        stack.repair_handler()
    cause.click()
    row = page.get_by_role("row").filter(has_text=message_id)
    sync_api.expect(row).to_be_visible()
    page.wait_for_timeout(100)
    for _ in range(60):  # the record may be a moment behind Redis
        page.reload()
        row.get_by_role("checkbox").check()
        page.get_by_role("button", name="Replay the selected…").click()
        if page.get_by_role("button", name="Replay 1 event").count():
            break
        page.go_back()
        page.wait_for_timeout(500)
    sync_api.expect(page.get_by_text("browserhandlers.answer")).to_be_visible()
    page.get_by_label("Name").fill("crm was down")
    page.get_by_role("button", name="Replay 1 event").click()
    sync_api.expect(page.get_by_role("heading", name="crm was down")).to_be_visible()
    sync_api.expect(page.locator(".tiles")).to_contain_text("done")
    page.goto(f"{stack.page}/message?id={message_id}")
    sync_api.expect(page.locator(".timeline")).to_contain_text("Replayed")
    sync_api.expect(page.locator(".timeline")).to_contain_text("processed")


def test_a_recheck_is_rehearsed_and_what_does_not_verify_stays(stack: WebStack, open_page: Open) -> None:
    stack.post(secret="a secret of somebody else")
    page = open_page("/quarantine/")
    sync_api.expect(page.locator("#records-table tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Rehearse a recheck").click()
    sync_api.expect(page.locator(".tiles")).to_contain_text("doubtful")
    sync_api.expect(page.get_by_role("button", name=re.compile("Run it"))).to_have_count(0)
    page.go_back()
    page.locator("#records-table a").first.click()
    sync_api.expect(page.get_by_text("With today's secrets it is still suspect")).to_be_visible()
    page.get_by_role("link", name="Drop…").click()
    page.get_by_role("button", name="Drop 1 record").click()
    sync_api.expect(page.get_by_text("The quarantine is empty")).to_be_visible()


def test_a_paused_lane_waits_until_it_is_resumed(stack: WebStack, open_page: Open) -> None:
    stack.post()
    page = open_page("/lanes/")
    page.get_by_role("button", name=re.compile("^Pause .")).first.click()
    sync_api.expect(page.locator("#lanes-table")).to_contain_text("paused")
    stack.post()
    cell = page.locator("#lanes-table tbody tr").first.locator("td").first
    sync_api.expect(cell).to_have_text("1")
    page.get_by_role("button", name=re.compile("^Resume .")).first.click()
    sync_api.expect(page.locator("#lanes-table tbody tr").first.locator("td").first).to_have_text("0")


def test_a_viewer_sees_no_button_and_is_refused_by_the_server(stack: WebStack, open_page: Open) -> None:
    message_id = stack.post()
    page = open_page("/lanes/", user="viewer", password=VIEWER_PASSWORD, may_fail=True)
    assert page.get_by_role("button", name=re.compile("^Pause .")).count() == 0
    status = page.evaluate("fetch('/lanes/x/pause', {method: 'POST'}).then(answer => answer.status)")
    assert status == 403
    page.goto(f"{stack.page}/message?id={message_id}")
    assert page.get_by_role("button", name="Show personal data").count() == 0


def test_hostile_text_stays_text(stack: WebStack, open_page: Open) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    message_id = stack.post(text=hostile, client_ref=hostile, **{"from": hostile})
    page = open_page("/messages/")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    sync_api.expect(page.locator(f"a[href*='{message_id}']")).to_have_count(1)
    page.goto(f"{stack.page}/message?id={message_id}")
    page.get_by_role("button", name="Show personal data").click()
    sync_api.expect(page.locator("pre.raw")).to_contain_text("onerror=alert(1)")
    assert page.locator("main img, main script").count() == 0
    assert dialogs == []


def test_redis_stopped_keeps_the_page_and_says_so_until_it_is_back(stack: WebStack, open_page: Open) -> None:
    stack.post()
    page = open_page("/lanes/", may_fail=True)
    sync_api.expect(page.locator("#lanes-table tbody tr").first).to_be_visible()
    stack.redis.kill()
    try:
        sync_api.expect(page.locator("#trouble")).to_contain_text("Redis does not answer")
        sync_api.expect(page.locator("#trouble")).to_contain_text("may be out of date")
        sync_api.expect(page.locator("#lanes-table tbody tr").first).to_be_visible()
    finally:
        stack.redis.start()
    sync_api.expect(page.locator("#trouble")).to_be_hidden(timeout=2 * PATIENCE)


def test_there_is_no_polling_in_a_hidden_tab_nor_while_paused(stack: WebStack, open_page: Open) -> None:
    page = open_page("/lanes/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.resource_type == "fetch" else None)
    page.clock.install()
    page.reload()
    page.clock.run_for(10_000)
    page.wait_for_timeout(500)
    assert asked, "it polls while it is seen"
    page.get_by_role("button", name="Pause", exact=True).click()
    asked.clear()
    page.clock.run_for(60_000)
    assert asked == [], "it is paused"
    page.get_by_role("button", name="Resume", exact=True).click()
    sync_api.expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for_timeout(300)
    asked.clear()
    page.clock.run_for(60_000)
    assert asked == [], "it is hidden"


def test_without_javascript_every_page_shows_the_same(open_page: Open, stack: WebStack) -> None:
    page = open_page("/", java_script_enabled=False)
    for path in PAGES:
        page.goto(stack.page + path)
        assert page.locator("h1").count() == 1
        assert page.locator("#live").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_violation_of_accessibility(stack: WebStack, open_page: Open, scheme: str) -> None:
    message_id = stack.post()
    page = open_page("/messages/", color_scheme=scheme, bypass_csp=True)
    sync_api.expect(page.locator(f"a[href*='{message_id}']")).to_have_count(1)
    for path in [*PAGES, f"/message?id={message_id}", f"/replays/new?event={message_id}", "/nothing"]:
        if path == "/nothing":
            continue
        page.goto(stack.page + path)
        page.evaluate(AXE)
        found = page.evaluate("axe.run().then(result => result.violations)")
        violations = [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found]
        assert violations == [], f"{path}: {json.dumps(violations, indent=1)}"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_phone_and_is_reached_by_keyboard(stack: WebStack, open_page: Open, path: str) -> None:
    page = open_page(path, viewport={"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
