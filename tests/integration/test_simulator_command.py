"""``ackfirst simulate`` as a process: what it prints, what it writes, how it ends."""

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ackfirst.shared.policy import Policy
from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.planned import Kind
from tests.support.factories import API_KEY, SECRET
from tests.support.ports import free_port
from tests.support.processes import Cli, run_cli
from tests.support.receiver import Receiver, honest, receiver
from tests.support.simulated import receiver_of
from tests.support.waiting import await_until

KEYS = {"ACKFIRST_API_KEY": API_KEY, "ACKFIRST_SIGNATURE_SECRET": SECRET}
#: Nexmo's 24 hours of retries in a second.
FAST_RETRIES = ("--speed", "100000")


@pytest.fixture
async def honest_receiver() -> AsyncIterator[Receiver]:
    async with receiver(honest(receiver_of(SigningAccount(api_key=API_KEY, secret=SECRET.encode())))) as found:
        yield found


async def simulate(target: object, *args: str, cwd: Path, env: dict[str, str] | None = None) -> Cli:
    """Run it to its end while this process answers."""
    with Cli("simulate", str(target), *args, cwd=cwd, env=KEYS if env is None else env) as cli:
        await await_until(lambda: cli.process.poll() is not None, timeout=40)
    return cli


def printed(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli.output)
    return found


async def test_right_answers_end_with_0_and_a_table(honest_receiver: Receiver, tmp_path: Path) -> None:
    cli = await simulate(honest_receiver.url, "--count", "200", "--rate", "0", "--seed", "5", cwd=tmp_path)

    assert cli.process.returncode == 0, cli.output
    assert "as expected" in cli.output
    assert "200 of 200 callbacks" in cli.output
    assert "seed 5" in cli.output


async def test_without_a_url_it_goes_where_ingest_listens(honest_receiver: Receiver, tmp_path: Path) -> None:
    env = {**KEYS, "ACKFIRST_LISTEN": f"0.0.0.0:{honest_receiver.url.port}"}
    with Cli("simulate", "--count", "20", "--rate", "0", cwd=tmp_path, env=env) as cli:
        await await_until(lambda: cli.process.poll() is not None, timeout=40)

    assert cli.process.returncode == 0, cli.output
    assert "20 of 20 callbacks" in cli.output


async def test_json_is_one_object_and_the_ledger_a_line_for_each_callback(
    honest_receiver: Receiver, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    args = ("--count", "300", "--rate", "0", "--json", "--ledger", str(ledger))
    cli = await simulate(honest_receiver.url, *args, cwd=tmp_path)

    report, lines = printed(cli), [json.loads(line) for line in ledger.read_text().splitlines()]
    assert report["sent"] == report["planned"] == len(lines) == 300
    assert report["unexpected"] == 0
    assert sum(line["acked"] for line in lines) == report["acknowledged"]
    assert {line["kind"] for line in lines} == {kind.value for kind in Kind}


@pytest.mark.parametrize(("policy", "code"), [(Policy.NEVER_STALL, 0), (Policy.STRICT, 1)])
async def test_a_wrong_secret_shows_only_where_the_receiver_says_so(policy: Policy, code: int, tmp_path: Path) -> None:
    other = SigningAccount(api_key=API_KEY, secret=b"another-secret-0123456789-abcdefgh")
    async with receiver(honest(receiver_of(other), policy)) as found:
        cli = await simulate(found.url, "--count", "50", "--rate", "0", *FAST_RETRIES, cwd=tmp_path)
    assert cli.process.returncode == code, cli.output


async def test_a_receiver_that_refuses_genuine_callbacks_ends_with_1(tmp_path: Path) -> None:
    async with receiver(lambda _callback: 401) as found:
        cli = await simulate(found.url, "--count", "20", "--rate", "0", *FAST_RETRIES, cwd=tmp_path)
    assert cli.process.returncode == 1
    assert "answered 401, not 200" in cli.output


async def test_ctrl_c_reports_what_was_sent_so_far(honest_receiver: Receiver, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    args = ("simulate", str(honest_receiver.url), "--count", "5000", "--rate", "20", "--json", "--ledger", str(ledger))
    with Cli(*args, cwd=tmp_path, env=KEYS) as cli:
        await await_until(lambda: len(honest_receiver.callbacks) >= 5, timeout=40)
        cli.process.send_signal(signal.SIGINT)
        await await_until(lambda: cli.process.poll() is not None, timeout=20)

    assert cli.process.returncode == 130, cli.output
    report = printed(cli)
    assert report["interrupted"] is True
    assert 5 <= report["sent"] < 5000
    assert len(ledger.read_text().splitlines()) == report["sent"]


async def test_the_same_seed_sends_the_same_events(honest_receiver: Receiver, tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        args = ("--count", "100", "--rate", "0", "--seed", "9", "--ledger", str(tmp_path / name))
        await simulate(honest_receiver.url, *args, cwd=tmp_path)
        lines = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        ids.append(sorted(line["event_id"] or line["forged_id"] for line in lines))
    assert ids[0] == ids[1]


def test_a_target_where_nobody_answers_ends_with_1(tmp_path: Path) -> None:
    target = f"http://127.0.0.1:{free_port()}"
    cli = run_cli("simulate", target, cwd=tmp_path, env=KEYS)
    assert cli.process.returncode == 1
    assert f"no answer from {target}: connection refused; check the URL" in cli.output
    assert "Traceback" not in cli.output


def test_without_an_account_the_message_says_what_to_set(tmp_path: Path) -> None:
    cli = run_cli("simulate", cwd=tmp_path)
    assert cli.process.returncode == 2
    assert "ACKFIRST_API_KEY and ACKFIRST_SIGNATURE_SECRET" in cli.output


@pytest.mark.parametrize(
    "args",
    [
        ("ftp://example.com",),
        ("http://h/?a=b",),
        ("http://h/webhooks/inbound-message",),
        ("http://h/base/webhooks/message-status/",),
        ("--duplicates", "0.6", "--tampered", "0.4"),
        ("--count", "0"),
        ("--ledger", "no/such/folder/l"),
    ],
)
def test_impossible_options_end_with_2(args: tuple[str, ...], tmp_path: Path) -> None:
    cli = run_cli("simulate", *args, cwd=tmp_path, env=KEYS)
    assert cli.process.returncode == 2
    assert SECRET not in cli.output
