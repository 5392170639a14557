"""``ackfirst simulate nexmo-api`` as a newcomer uses it: copy the lines that it prints, then look at webhooks."""

import json
import re
import signal
import subprocess
from pathlib import Path

from tests.support.processes import Cli, clean_environment, command_output


def webhooks(folder: Path, settings: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return command_output("webhooks", *args, cwd=folder, env=clean_environment(**settings))


def test_the_printed_lines_are_all_that_webhooks_needs(tmp_path: Path) -> None:
    with Cli("simulate", "nexmo-api", "--port", "0", "--applications", "1", cwd=tmp_path) as apis:
        apis.wait_for_output("Ctrl-C ends it.", timeout=20)
        settings = dict(re.findall(r"export (ACKFIRST_\w+)=(\S+)", apis.output))
        shown = webhooks(tmp_path, settings, "show")
        assert shown.returncode == 1, "the example points elsewhere"
        assert "old.example.com" in shown.stdout
        assert "takes the place of" in shown.stdout
        changed = webhooks(tmp_path, settings, "set", "--all")
        assert changed.returncode == 0, changed.stdout + changed.stderr
        assert "old.example.com" not in webhooks(tmp_path, settings, "show").stdout
        apis.process.send_signal(signal.SIGINT)
        assert apis.wait(10) in (0, 1, 130)
        assert "Traceback" not in apis.output


def test_a_sub_account_has_applications_and_a_secret_of_its_own(tmp_path: Path) -> None:
    options = ("--port", "0", "--applications", "3", "--sub-api-key", "efef5678")
    with Cli("simulate", "nexmo-api", *options, cwd=tmp_path) as apis:
        apis.wait_for_output("Ctrl-C ends it.", timeout=60)
        settings = dict(re.findall(r"export (ACKFIRST_\w+)=(\S+)", apis.output))
        [table] = re.findall(r"\[accounts\.efef5678\]\n.*\n.*\n", apis.output)
        (tmp_path / "ackfirst.toml").write_text(table)
        done = webhooks(tmp_path, settings, "show", "--json")
        assert done.returncode == 1, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        places = {(row["account"], row["where"]) for row in rows if row["where"].startswith("application")}
        assert sorted(account for account, _ in places) == ["abcd1234"] * 3 + ["efef5678"]
        assert sum("linked to application" in row["note"] for row in rows) == 4
