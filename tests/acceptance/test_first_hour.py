"""A newcomer's first hour, as in the docs: ``dev --tunnel``, ``doctor``, ``webhooks set``, ``apps quiet|delete``.

Everything is real but Nexmo's APIs, which the simulator plays, and the tunnel's agent, which forwards over TLS on this
machine. ``python -m tests.acceptance.test_first_hour`` writes the transcript into ``docs/webhooks.md``.
"""

import asyncio
import json
import re
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ackfirst.simulator.nexmo_api import NexmoApis
from tests.support.certificates import Authority
from tests.support.dev import Dev
from tests.support.factories import API_KEY, inbound_message
from tests.support.folders import new_short_folder
from tests.support.nexmo_apis import nexmo
from tests.support.processes import ROOT, command_output
from tests.support.tunnel_agents import FORWARDING_NGROK, install
from tests.support.waiting import wait_until

PAGE = ROOT / "docs" / "webhooks.md"
BEGIN, END = "<!-- first hour -->\n", "<!-- end of the first hour -->\n"

PRODUCTION, TEST = "1f0a3c52-7a1d-4a53-9a2c-6d1f0b7c2e11", "9b4d7c10-0c2e-4f3b-8f21-2a5e9d6b7c34"
OLD = "https://old.example.com"

#: What only a machine that is busy with other tests may bring about.
OF_THE_MACHINE = ("disk-fsync-slow", "disk-space", "disk-volatile", "redis-slow", "redis-fsync-slow", "clock-nexmo")


@dataclass
class Transcript:
    """Runs commands in one folder, and remembers them with their output."""

    running: Dev
    environ: dict[str, str]
    lines: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.lines.append(text)

    def run(self, command: str, *, code: int) -> str:
        """Run a command and expect its exit code."""
        env = {**self.running.env, **self.environ, "COLUMNS": "160"}
        done = command_output(*shlex.split(command)[1:], cwd=self.running.cwd, env=env, merged=True)
        assert done.returncode == code or has_machine_trouble(done.stdout), done.stdout
        shown = [line for line in without_machine_trouble(done.stdout) if "no ACKFIRST_REDIS_URL" not in line]
        self.lines += [f"$ {command}", *shown, *([f"(exit code {code})"] if code else []), ""]
        return done.stdout


def output_of(dev: Dev, *args: str) -> str:
    return command_output(*args, cwd=dev.cwd, env=dev.env).stdout


def nothing_waits(dev: Dev) -> bool:
    return not any(json.loads(line)["waiting"] for line in output_of(dev, "apps", "--json").splitlines())


def has_machine_trouble(output: str) -> bool:
    return any(f" {id_}: " in output for id_ in OF_THE_MACHINE)


def without_machine_trouble(output: str) -> list[str]:
    lines, skip = [], False
    for line in output.splitlines():
        found = any(f" {id_}: " in line for id_ in OF_THE_MACHINE)
        if not found and not (skip and line.startswith("        →")):
            lines.append(line.rstrip())
        skip = found
    if has_machine_trouble(output) and not any(re.match(r"(error|warning) ", line) for line in lines):
        lines.append("Nothing was found: all is well.")
    return lines


def account(apis: NexmoApis) -> None:
    """Give the account a production and a test application, whose webhooks lead to an old laptop."""
    webhooks = {name: {"address": f"{OLD}/{name}", "http_method": "POST"} for name in ("inbound_url", "status_url")}
    capabilities = {"messages": {"version": "v1", "webhooks": webhooks}, "voice": {"region": "eu-west"}}
    for id_, name in ((PRODUCTION, "harbour"), (TEST, "harbour test")):
        apis.account.applications[id_] = {"id": id_, "name": name, "capabilities": json.loads(json.dumps(capabilities))}


def first_hour(apis: NexmoApis, url: str, folder: Path) -> str:
    """Live through it; the transcript."""
    authority = Authority(folder / "ca")
    certificate, key = authority.certificate(days=90)
    running = Dev(folder, "--tunnel", API_SECRET="the-account-secret", NEXMO_API_URL=url, NEXMO_REST_URL=url)
    running.env |= {
        "PATH": install(folder / "bin", ngrok=FORWARDING_NGROK),
        "HOME": str(folder),
        "NGROK_AUTHTOKEN": "good",
        "TUNNEL_CERTIFICATE": f"{certificate}:{key}",
        "SSL_CERT_FILE": str(authority.file),
    }
    account(apis)
    with running as dev:
        dev.wait_until_ready()
        dev.wait_for_output("worker.started")
        [tunnel] = set(re.findall(r"https://127\.0\.0\.1:\d+", dev.output))
        script = Transcript(dev, {"ACKFIRST_PUBLIC_URL": tunnel})
        banner = dev.output[dev.output.index("ackfirst is ready.") :].partition("  admin")[0]
        script.lines += ["$ ackfirst dev --tunnel", *banner.rstrip().splitlines(), "", "# in a second terminal"]
        script.lines += [f"$ export ACKFIRST_PUBLIC_URL={tunnel}", ""]
        wait_until(lambda: "workers-none" not in output_of(dev, "doctor", "--no-self-test", "--json"), timeout=60)
        script.run("ackfirst doctor", code=1)
        script.run("ackfirst webhooks set --all --dry-run", code=0)
        script.run("ackfirst webhooks set --all", code=0)
        assert "self-test: processed by a worker" in script.run("ackfirst doctor", code=0)

        assert dev.nexmo.post_json(inbound_message(message_uuid="first"), application_id=TEST) == 200
        wait_until(lambda: dev.seen and nothing_waits(dev), timeout=60)
        script.note("# a message comes in through the test application")
        script.run("ackfirst apps", code=0)
        script.run(f"ackfirst apps quiet {TEST}", code=1)
        script.run(f"ackfirst apps delete {TEST} --yes", code=1)
        assert TEST in apis.account.applications
        time.sleep(3)
        script.note("# a day later; here, three seconds are enough")
        script.run(f"ackfirst apps quiet {TEST} --for 3s", code=0)
        script.run(f"ackfirst apps delete {TEST} --for 3s --yes", code=0)
        assert list(apis.account.applications) == [PRODUCTION]
        places = {tunnel: "https://harbour.ngrok-free.app", f"127.0.0.1:{dev.port}": "127.0.0.1:8080"}
    return normalised("\n".join(script.lines), {**places, f"{folder}/": "", str(folder): "."})


def normalised(text: str, places: dict[str, str]) -> str:
    """Write what differs from run to run as it was in one of them."""
    for found, shown in places.items():
        text = text.replace(found, shown)
    text = re.sub(r"\d{8}T\d{12}Z", "20261128T091500000000Z", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "2026-11-28 09:15:00Z", text)
    text = re.sub(r"\b(\d+ min )?\d+ s ago", "4 s ago", text)
    text = re.sub(r"was sent for (\d+ min )?\d+ s", "was sent for 4 s", text)
    text = re.sub(r"\d+\.\d{3} s", "0.031 s", text)
    return text.replace("\n\n\n", "\n\n").strip() + "\n"


async def play(folder: Path) -> str:
    async with nexmo(folder, api_key=API_KEY) as (apis, operator):
        return await asyncio.to_thread(first_hour, apis, operator.url, folder)


@pytest.fixture
def folder(redis_folder: Path) -> Path:
    folder = redis_folder / "hour"
    folder.mkdir()
    return folder


def squeezed(text: str) -> str:
    """Leave out how wide the columns of a table are: "12 s ago" is wider than "4 s ago"."""
    return re.sub(r"[ ─]+", " ", text).replace(" \n", "\n")


@pytest.mark.timeout(600)
async def test_the_first_hour_is_as_the_page_shows_it(folder: Path) -> None:
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert squeezed(block(await play(folder))) == squeezed(shown), "run python -m tests.acceptance.test_first_hour"


def block(transcript: str) -> str:
    return f"```console\n{transcript}```\n"


def main() -> None:
    """Write the page anew."""
    with new_short_folder() as folder:
        transcript = asyncio.run(play(folder))
    before, mark, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{mark}{block(transcript)}{END}{after}")


if __name__ == "__main__":
    main()
