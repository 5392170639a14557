"""The options of ``ackfirst simulate`` that make it a provider: policy, speed, files, views."""

import json
from pathlib import Path

from ackfirst.simulator.account import SigningAccount
from tests.support.factories import API_KEY, SECRET
from tests.support.ports import free_port
from tests.support.processes import Cli, run_cli
from tests.support.receiver import honest, receiver
from tests.support.simulated import receiver_of
from tests.support.waiting import await_until

KEYS = {"ACKFIRST_API_KEY": API_KEY, "ACKFIRST_SIGNATURE_SECRET": SECRET}
GENUINE = ("--wrong-secret", "0", "--tampered", "0", "--unsigned", "0")


async def simulate(target: object, *args: str, cwd: Path) -> Cli:
    with Cli("simulate", str(target), *args, cwd=cwd, env=KEYS) as cli:
        await await_until(lambda: cli.process.poll() is not None, timeout=40)
    return cli


async def test_recorded_traffic_is_sent_again_with_a_picture_and_a_line_a_second(tmp_path: Path) -> None:
    file, picture = tmp_path / "traffic.jsonl", tmp_path / "queue.svg"
    answer = honest(receiver_of(SigningAccount(api_key=API_KEY, secret=SECRET.encode())))
    async with receiver(answer) as found:
        one, two = tmp_path / "one", tmp_path / "two"
        recording = ("--count", "60", "--rate", "100", "--channel", "rcs", "--record", str(file), "--ledger", str(one))
        first = await simulate(found.url, *recording, cwd=tmp_path)
        replaying = ("--from", str(file), "--plot", str(picture), "--plain", "--ledger", str(two))
        second = await simulate(found.url, *replaying, cwd=tmp_path)

    assert (first.process.returncode, second.process.returncode) == (0, 0), first.output + second.output
    ids = [[json.loads(line)["event_id"] for line in path.read_text().splitlines()] for path in (one, two)]
    assert ids[0] == ids[1]
    assert "created" in second.output
    assert picture.read_text().startswith("<svg")


def test_a_day_with_nobody_there_ends_with_everything_expired(tmp_path: Path) -> None:
    args = ("--count", "5", "--speed", "20000", "--family", "inbound-message", "--json", *GENUINE)
    cli = run_cli("simulate", f"http://127.0.0.1:{free_port()}", *args, cwd=tmp_path, env=KEYS)
    report = json.loads(cli.output)
    assert cli.process.returncode == 1
    assert report["provider"]["expired"] == report["provider"]["created"] == 5
    assert report["answers"][0]["problem"] == "no answer (connection refused), not 200"


def test_a_choice_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    cli = run_cli("simulate", "--channel", "pigeon", cwd=tmp_path, env=KEYS)
    assert cli.process.returncode == 2
    assert "check --family and --channel" in cli.output


def test_the_help_names_both_ways_to_call_it(tmp_path: Path) -> None:
    cli = run_cli("simulate", "--help", cwd=tmp_path)
    assert "ackfirst simulate [OPTIONS] [URL]" in cli.output
    assert "ackfirst simulate stall-demo [OPTIONS]" in cli.output
    assert cli.output.index("Traffic:") < cli.output.index("Trouble:") < cli.output.index("\nNexmo:")


def test_the_url_of_one_webhook_is_refused_with_the_base_url_to_give_instead(tmp_path: Path) -> None:
    url = "http://127.0.0.1:1/nexmo/webhooks/inbound-message"
    cli = run_cli("simulate", url, "--count", "1", cwd=tmp_path, env=KEYS)
    assert cli.process.returncode == 2
    assert "names one webhook; give the base URL, http://127.0.0.1:1/nexmo" in " ".join(cli.output.split())
