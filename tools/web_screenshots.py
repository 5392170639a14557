"""Take the pictures of the operator's page in ``docs/web/``: ``python -m tools.web_screenshots``; about a minute.

Runs ``ackfirst dev`` with a broken handler and traffic of the simulator, on a record that is filled with a week before.
Needs chromium and the development tools.
"""

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Page, sync_playwright

from ackfirst.shared.processes.free_port import free_port
from ackfirst.shared.store import Arrival, Attempt, Batch, Ending, Store, open_store
from tests.support.processes import Cli
from tests.support.waiting import wait_until

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "docs" / "web"

#: Seconds of live traffic before the pictures.
TRAFFIC_SECONDS: Final = 40
WIDTH, HEIGHT = 1280, 860
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
CAUSE: Final = "handler=harbourhandlers.book&error=ConnectionError"
PASSWORD: Final = "larch-7"  # noqa: S105 - of a stack that lives for a minute

ACCOUNTS: Final = """
[accounts.abcd1234]
name = "Harbour"
secrets = ["tidal-Compass-42-visible-lantern"]
[accounts.abcd1234.applications.aaaaaaaa-bbbb-cccc-dddd-0123456789ab]
name = "Harbour desk"
"""

HANDLERS: Final = """
import random, time
from ackfirst import on

@on("inbound-message")
def reply(event):
    time.sleep(random.random() * 0.02)
    return "answered"

@on("message-status")
def book(event):
    time.sleep(random.random() * 0.004)
    if random.random() < 0.25:
        raise ConnectionError("crm.internal:443 refused the connection")

@on()
def count(event):
    pass

@on("message-status")
def bill(event):
    if event.status == "rejected" and random.random() < 0.1:
        raise KeyError("price")
"""


def main() -> None:
    """Take all pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("there is no chromium here")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="af-") as name:
        folder = Path(name)
        ports = {setting: free_port() for setting in ("LISTEN", "ADMIN_LISTEN", "WEB_LISTEN")}
        env = _environment(folder, ports)
        with open_store(f"sqlite:///{folder / 'data' / 'record.db'}", migrate=True) as store:
            _fill(store, now=time.time())
        with Cli("dev", cwd=folder, env=env, name="dev") as dev:
            dev.wait_for_output("ackfirst is ready", timeout=120)
            traffic = ("simulate", f"http://127.0.0.1:{ports['LISTEN']}", "--rate", "14", "--count", "100000")
            account = {"ACKFIRST_API_KEY": "abcd1234", "ACKFIRST_SIGNATURE_SECRET": "tidal-Compass-42-visible-lantern"}
            with Cli(*traffic, "--wrong-secret", "0.02", cwd=folder, env=account, name="traffic"):
                time.sleep(TRAFFIC_SECONDS)
                _take(chromium, f"http://127.0.0.1:{ports['WEB_LISTEN']}")


def _environment(folder: Path, ports: dict[str, int]) -> dict[str, str]:
    (folder / "data").mkdir(mode=0o700)
    (folder / "ackfirst.toml").write_text(ACCOUNTS)
    (folder / "ackfirst.toml").chmod(0o600)
    (folder / "harbourhandlers.py").write_text(HANDLERS)
    return {
        **{f"ACKFIRST_{name}": f"127.0.0.1:{port}" for name, port in ports.items()},
        "ACKFIRST_DATA_DIR": str(folder / "data"),
        "ACKFIRST_CONFIG": str(folder / "ackfirst.toml"),
        "ACKFIRST_HANDLERS": "harbourhandlers",
        "ACKFIRST_RETRY_SCHEDULE": "2s",
        "ACKFIRST_WEB_PASSWORD": PASSWORD,
        "PYTHONPATH": str(folder),
    }


def _fill(store: Store, *, now: float) -> None:
    """Record a week of events, most of them of the last hour."""
    events = _week(now)
    number = 0
    while batch := list(islice(events, 500)):
        number += 1
        arrivals, attempts, endings = zip(*batch, strict=True)
        store.write(Batch(position=f"0-{number}", arrivals=arrivals, attempts=attempts, endings=endings))


def _week(now: float) -> Iterator[tuple[Arrival, Attempt, Ending]]:
    chance = random.Random(7)  # noqa: S311 - the same pictures each time
    ages = [chance.uniform(60, 3600) for _ in range(9000)] + [chance.uniform(3600, 604_800) for _ in range(6000)]
    for number, age in enumerate(sorted(ages, reverse=True)):
        at = now - age
        fails = chance.random() < 0.002  # noqa: PLR2004 - a few
        event_id = f"s-{number:032x}"
        arrival = Arrival(
            event_id=event_id,
            account="abcd1234",
            application_id=None,
            lane="abcd1234",
            family="message-status",
            channel="sms",
            message_id=f"{number:08x}-1f20-4d8a-9b6e-1f20c7a4e913",
            client_ref=None,
            status="delivered",
            sender="Harbour",
            recipient=f"4477009{chance.randrange(10**5):05}",
            received_at=at,
            occurred_at=at - chance.random() * 3,
            encoding="json",
            content_type="application/json",
            body=b'{"status": "delivered"}',
            query="",
            trace=None,
        )
        attempt = Attempt(
            event_id=event_id,
            received_at=at,
            handler="harbourhandlers.book",
            number=2 if fails else 1,
            worker="worker-1",
            started=at + 0.01,
            seconds=chance.expovariate(200),
            ending="dead" if fails else "done",
            error_type="TimeoutError" if fails else None,
            message="crm.internal did not answer within 30 s" if fails else None,
        )
        state = "dead" if fails else "processed"
        yield (
            arrival,
            attempt,
            Ending(
                event_id=event_id, received_at=at, lane="abcd1234", state=state, at=at + 0.05, attempts=attempt.number
            ),
        )


def _take(chromium: str, address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        pages = {
            scheme: browser.new_context(
                color_scheme=scheme,
                viewport={"width": WIDTH, "height": HEIGHT},
                http_credentials={"username": "ackfirst", "password": PASSWORD},
                timezone_id="UTC",
            ).new_page()
            for scheme in SCHEMES
        }
        guide = pages[SCHEMES[0]]
        for find in (_pages_of_letters, _pages_of_replays):  # a replay takes the letters away
            for name, path in find(guide, address).items():
                for scheme, page in pages.items():
                    page.goto(address + path)
                    page.wait_for_load_state("networkidle")
                    page.screenshot(path=FOLDER / f"{name}-{scheme}.png")
        browser.close()


def _pages_of_letters(page: Page, address: str) -> dict[str, str]:
    """Return the name and the path of each picture."""
    page.goto(f"{address}/dead/list?{CAUSE}")
    letter = page.locator("td.id a").first.get_attribute("href") or ""
    page.goto(address + "/quarantine/")
    record = page.locator("#records-table a").first.get_attribute("href") or ""
    return {
        "now": "/",
        "messages": "/messages/",
        "message": letter,
        "dead": "/dead/",
        "dead-list": f"/dead/list?{CAUSE}",
        "quarantine": "/quarantine/",
        "quarantine-record": record,
        "recheck": "/quarantine/recheck",
        "lanes": "/lanes/",
        "replay-plan": f"/replays/new?dead=1&{CAUSE}",
        "handlers": "/handlers/?range=day",
    }


def _pages_of_replays(page: Page, address: str) -> dict[str, str]:
    _start_replay(page, address)
    page.goto(address + "/replays/")
    replay = page.locator("#replays th a").first.get_attribute("href") or ""
    return {"replays": "/replays/", "replay": replay}


def _start_replay(page: Page, address: str) -> None:
    page.goto(f"{address}/replays/new?dead=1&{CAUSE}")
    page.get_by_label("Name").fill("crm was down")
    page.get_by_label("Reason").fill("crm.internal refused connections from 09:10 to 09:40")
    page.locator("aside button.primary").click()
    wait_until(lambda: page.reload() and page.get_by_text("done").count(), timeout=60, message="the replay is done")


if __name__ == "__main__":
    main()
