"""``ackfirst simulate nexmo-api`` as a newcomer uses it: copy the lines that it prints, then look at webhooks."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.processes import Cli, clean_environment


def webhooks(folder: Path, settings: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ackfirst", "webhooks", *args],
        cwd=folder,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


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
