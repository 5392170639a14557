"""A mistake of the operator: one sentence that names it, exit code 2, no traceback."""

from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.processes import run_cli

GOOD = {"ACKFIRST_API_KEY": "abcd1234", "ACKFIRST_SIGNATURE_SECRET": "orchid"}


def refusal(folder: Path, command: str = "ingest", **environ: str) -> str:
    cli = run_cli(command, cwd=folder, env={f"ACKFIRST_{name}": value for name, value in environ.items()})
    assert cli.process.returncode == 2, cli.output
    lines = [line for line in cli.output.splitlines() if line.strip()]
    assert len(lines) == 1, cli.output
    assert lines[0].startswith("ackfirst: ")
    return lines[0].removeprefix("ackfirst: ")


@pytest.mark.parametrize("command", ["ingest", "web", "dev", "worker"])
def test_an_unknown_name(tmp_path: Path, command: str) -> None:
    message = refusal(tmp_path, command, SIGNATUR_SECRET="orchid")
    assert message == "ACKFIRST_SIGNATUR_SECRET is not a setting: did you mean ACKFIRST_SIGNATURE_SECRET?"


@pytest.mark.parametrize("command", ["ingest", "web", "dev", "worker"])
def test_an_impossible_value(tmp_path: Path, command: str) -> None:
    assert (
        refusal(tmp_path, command, POLICY="lax") == "ACKFIRST_POLICY is 'lax': it should be 'never-stall' or 'strict'"
    )


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "ackfirst.toml").write_text("[accounts.abcd1234\n")
    assert refusal(tmp_path).startswith("ackfirst.toml is not valid TOML")


def test_a_named_file_that_does_not_exist(tmp_path: Path) -> None:
    assert refusal(tmp_path, CONFIG="other.toml") == "other.toml does not exist: check ACKFIRST_CONFIG"


def test_an_empty_secret_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "ackfirst.toml").write_text('[accounts.abcd1234]\nsecrets = [""]\n')
    assert refusal(tmp_path) == "ackfirst.toml, account abcd1234, secrets, entry 1: the value is blank"


def test_an_empty_secret_in_the_environment(tmp_path: Path) -> None:
    message = refusal(tmp_path, API_KEY="abcd1234", SIGNATURE_SECRET="")
    assert message.startswith("account abcd1234 has no signature secret")


def test_an_unknown_sms_method(tmp_path: Path) -> None:
    (tmp_path / "ackfirst.toml").write_text('[accounts.a]\nsecrets = ["x"]\nsms_signature_method = "md4"\n')
    message = refusal(tmp_path)
    assert message.startswith("ackfirst.toml, account a, sms_signature_method: it should be 'md5hash'")


@pytest.mark.parametrize("command", ["web", "worker"])
def test_a_redis_that_nobody_runs(tmp_path: Path, command: str) -> None:
    port = free_port()
    environ = {name.removeprefix("ACKFIRST_"): value for name, value in GOOD.items()}
    listen = {"LISTEN": "127.0.0.1:0", "ADMIN_LISTEN": "127.0.0.1:0", "WEB_LISTEN": "127.0.0.1:0"}
    message = refusal(tmp_path, command, REDIS_URL=f"redis://:hunter2@127.0.0.1:{port}/0", **environ, **listen)
    assert message.startswith(f"cannot reach Redis at redis://•••@127.0.0.1:{port}/0: ")
    assert message.endswith("check ACKFIRST_REDIS_URL")


@pytest.mark.parametrize("command", ["ingest", "web", "dev", "worker"])
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://:hunter2@127.0.0.1/queue", "the database after the host must be a number, as in redis://host/0"),
        ("redis://127.0.0.1?decode_responses=true", "'decode_responses' is not an option of a redis:// URL"),
        ("redis://127.0.0.1?max_connections=1", "'max_connections' is not an option of a redis:// URL"),
        ("rediss://127.0.0.1?ssl_cert_reqs=CERT_NONE", "'ssl_cert_reqs' must be required or none"),
    ],
)
def test_a_redis_url_that_is_not_supported(tmp_path: Path, command: str, url: str, problem: str) -> None:
    message = refusal(tmp_path, command, REDIS_URL=url)
    assert message.startswith(f"ACKFIRST_REDIS_URL: {problem}")
    assert "hunter2" not in message


def test_policy_needs_no_settings_and_is_not_stopped_by_wrong_ones(tmp_path: Path) -> None:
    cli = run_cli("policy", cwd=tmp_path, env={"ACKFIRST_POLICI": "lax"})
    assert cli.process.returncode == 0
    assert "never-stall" in cli.output
