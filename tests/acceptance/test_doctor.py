"""``ackfirst doctor`` over a running installation: red, then green."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.dev import Dev
from tests.support.nexmo_apis import nexmo
from tests.support.processes import Cli, clean_environment, command_output
from tests.support.waiting import wait_until

#: What a machine that is busy with other tests may bring about.
OF_THE_MACHINE = {"disk-fsync-slow", "disk-space", "disk-volatile", "redis-slow", "redis-fsync-slow", "clock-nexmo"}


@pytest.fixture
def folder(redis_folder: Path) -> Path:
    folder = redis_folder / "looked over"
    folder.mkdir()
    return folder


def doctor(running: Cli, *args: str, **changed: str) -> tuple[int, str]:
    env = clean_environment(**{name: value for name, value in running.env.items() if name.startswith("ACKFIRST_")})
    env |= {"PYTHONPATH": running.env["PYTHONPATH"], **changed}
    done = command_output("doctor", *args, cwd=running.cwd, env=env)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def found(output: str) -> set[str]:
    rows = [json.loads(line) for line in output.splitlines()]
    assert all(row.keys() == {"id", "level", "what", "fix"} for row in rows)
    return {row["id"] for row in rows} - OF_THE_MACHINE


async def test_an_installation_becomes_green_and_its_self_test_reaches_no_handler(folder: Path) -> None:
    async with nexmo(folder) as (apis, operator):
        id_ = apis.account.add_application("harbour", capabilities={"messages": {"webhooks": {}}})
        apis.account.applications[id_]["capabilities"]["messages"]["version"] = "v1"

        def look() -> None:
            running = Dev(
                folder,
                API_KEY=apis.account.api_key,
                API_SECRET=apis.account.api_secret,
                NEXMO_API_URL=operator.url,
                NEXMO_REST_URL=operator.url,
            )
            callbacks = folder / "callbacks.py"
            callbacks.write_text(callbacks.read_text().replace('"inbound-message"', ""))  # a handler of everything
            with running as dev:
                dev.wait_until_ready()
                wait_until(lambda: "workers-none" not in doctor(dev, "--json")[1], timeout=40)
                public = {"ACKFIRST_PUBLIC_URL": f"http://127.0.0.1:{dev.port}"}
                code, output = doctor(dev, "--json", **public)
                assert (code, found(output)) == (1, {"tls-none", "webhook-differs"}), output

                settings = {name: value for name, value in dev.env.items() if name.startswith("ACKFIRST_")}
                env = clean_environment(**settings, **public)
                done = command_output("webhooks", "set", "--all", cwd=folder, env=env)
                assert done.returncode == 0, done.stdout + done.stderr
                code, output = doctor(dev, **public)
                assert "webhook-differs" not in output
                assert "self-test: answered 200 in" in output
                assert "self-test: processed by a worker after" in output
                assert dev.seen == [], "handlers do not see the self-test"

        await asyncio.to_thread(look)


def test_an_installation_that_does_not_run_is_red(folder: Path) -> None:
    dev = Dev(folder)
    dev.env["PYTHONPATH"] = ""
    dev.env["ACKFIRST_REDIS_URL"] = "redis://127.0.0.1:1"
    code, output = doctor(dev, "--json", "--no-self-test")
    assert code == 2
    assert {"redis-down", "ingest-down"} <= found(output)
