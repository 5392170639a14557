"""``ackfirst dev --tunnel --set-webhooks``: Nexmo's URLs lead to the tunnel, and back to where they were at any end."""

import asyncio
import copy
import signal
from pathlib import Path

import pytest

from ackfirst.simulator.nexmo_api import NexmoApis
from tests.support.dev import Dev
from tests.support.nexmo_apis import EVERYTHING, nexmo
from tests.support.supervised import is_alive
from tests.support.tunnel_agents import CLOUDFLARED, install
from tests.support.waiting import wait_until

TUNNEL = "https://calm-river-stone.trycloudflare.com"


@pytest.fixture
def folder(redis_folder: Path) -> Path:
    folder = redis_folder / "tunnelled"
    folder.mkdir()
    return folder


def dev(folder: Path, url: str, *args: str, name: str) -> Dev:
    running = Dev(
        folder, *args, name=name, API_SECRET="the-account-secret", NEXMO_API_URL=url, NEXMO_REST_URL=url
    )  # fmt: skip
    running.env["ACKFIRST_API_KEY"] = "abcd1234"
    running.env["PATH"] = install(folder / "bin", cloudflared=CLOUDFLARED)
    running.env["HOME"] = str(folder)
    return running


def inbound_url(apis: NexmoApis, id_: str) -> str:
    return str(apis.account.applications[id_]["capabilities"]["messages"]["webhooks"]["inbound_url"]["address"])


async def test_urls_go_to_the_tunnel_and_back_also_after_a_crash(folder: Path) -> None:
    async with nexmo(folder) as (apis, operator):
        id_ = apis.account.add_application("harbour", **EVERYTHING)
        before = copy.deepcopy(apis.account.applications[id_])
        wanted = ("--tunnel", "--set-webhooks", id_)

        def until_borrowed(running: Dev) -> None:
            running.wait_until_ready()
            wait_until(lambda: inbound_url(apis, id_) == f"{TUNNEL}/webhooks/inbound-message", timeout=20)

        def first_run() -> None:
            with dev(folder, operator.url, *wanted, name="first") as running:
                until_borrowed(running)
                for path in ("inbound-message", "message-status", "inbound-sms", "delivery-receipt"):
                    assert f"{TUNNEL}/webhooks/{path}" in running.output
                assert "This name ends with cloudflared" in running.output
                running.process.send_signal(signal.SIGINT)
                assert running.wait(40) == 0, running.output

        def run_that_is_killed() -> None:
            with dev(folder, operator.url, *wanted, name="killed") as running:
                until_borrowed(running)
                running.process.kill()
                running.wait(10)
                agent = int((folder / "agent.pid").read_text())
                wait_until(lambda: not is_alive(agent), timeout=10, message="no agent is left behind")

        def run_without_tunnel() -> None:
            with dev(folder, operator.url, name="after") as running:
                running.wait_until_ready()
                assert "An earlier run has left webhook URLs of a tunnel at Nexmo." in running.output
                running.process.send_signal(signal.SIGINT)
                assert running.wait(40) == 0

        await asyncio.to_thread(first_run)
        assert apis.account.applications[id_] == before
        await asyncio.to_thread(run_that_is_killed)
        assert inbound_url(apis, id_).startswith(TUNNEL), "a killed process can put nothing back"
        await asyncio.to_thread(run_without_tunnel)
        assert apis.account.applications[id_] == before


async def test_what_someone_points_elsewhere_meanwhile_is_left_alone(folder: Path) -> None:
    async with nexmo(folder) as (apis, operator):
        id_ = apis.account.add_application("harbour", **EVERYTHING)

        def run() -> None:
            with dev(folder, operator.url, "--tunnel", "--set-webhooks", id_, name="run") as running:
                running.wait_until_ready()
                wait_until(lambda: inbound_url(apis, id_).startswith(TUNNEL), timeout=20)
                webhooks = apis.account.applications[id_]["capabilities"]["messages"]["webhooks"]
                webhooks["inbound_url"]["address"] = "https://production.example.com/in"
                webhooks["status_url"]["address"] = "https://production.example.com/status"
                running.process.send_signal(signal.SIGINT)
                assert running.wait(40) == 0
                assert "points elsewhere by now" in running.output

        await asyncio.to_thread(run)
        assert inbound_url(apis, id_) == "https://production.example.com/in"
