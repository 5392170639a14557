"""A real Prometheus on loopback with the rules that we ship, where Debian's package of it is installed."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import yaml

from tests.support.ports import free_port
from tests.support.processes import ROOT
from tests.support.waiting import wait_until

FOLDER = ROOT / "deploy" / "prometheus"
RULES = FOLDER / "alerts.yml"
CONFIG = FOLDER / "prometheus.yml"

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="needs prometheus and promtool: apt-get install prometheus",
)

#: Seconds that a minute of the rules lasts in a test.
MINUTE = 3

#: Seconds between two scrapes in a test: longer than ingest waits for a Redis that does not answer.
INTERVAL = 1.5


def rules() -> list[dict[str, Any]]:
    """The alerts as they are shipped."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alert_names() -> list[str]:
    return [rule["alert"] for rule in rules()]


def hasty(text: str) -> str:
    """Rules in which a minute lasts ``MINUTE`` seconds: ``5m`` of a range or a ``for``, ``* 60`` of a limit."""
    text = re.sub(r"\b(\d+)m\b", lambda found: f"{int(found[1]) * MINUTE}s", text)
    return re.sub(r"\* 60\b", f"* {MINUTE}", text)


def hasty_config(targets: Path) -> dict[str, Any]:
    """The shipped configuration, but it looks more often, and takes its targets from a file in place of DNS."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    config["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), f"{INTERVAL * 1000:.0f}ms")
    config["global"]["scrape_timeout"] = config["global"]["scrape_interval"]
    [job] = config["scrape_configs"]
    del job["dns_sd_configs"]
    job["file_sd_configs"] = [{"files": [str(targets)], "refresh_interval": "1s"}]
    return config


class Prometheus:
    """One server in a folder of its own; killed at the end of the ``with`` block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._targets = folder / "targets.json"
        self._url = f"http://127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes]
        self.fired: dict[str, dict[str, str]] = {}
        """Every alert that was seen firing, with its annotations."""

    def __enter__(self) -> Self:
        self._folder.mkdir(exist_ok=True)
        self.scrape()
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(hasty_config(self._targets)))
        (self._folder / "alerts.yml").write_text(hasty(RULES.read_text()))
        command = [
            "prometheus",
            f"--config.file={self._folder}/prometheus.yml",
            f"--storage.tsdb.path={self._folder}/data",
            f"--web.listen-address={urllib.parse.urlsplit(self._url).netloc}",
        ]
        log = self._folder / "prometheus.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        wait_until(self._is_ready, timeout=30, message="Prometheus is ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(timeout=10)

    def scrape(self, *ports: int) -> None:
        """Look at these admin ports; Prometheus takes note of it within 5 seconds."""
        new = self._targets.with_suffix(".new")
        new.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}" for port in ports]}]))
        new.replace(self._targets)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant query; fails the test when Prometheus does not like the expression."""
        answer = self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        alerts = [one for one in self._get("/api/v1/alerts")["data"]["alerts"] if one["state"] == "firing"]
        self.fired |= {one["labels"]["alertname"]: one["annotations"] for one in alerts}
        return {one["labels"]["alertname"] for one in alerts}

    def wait_for(self, names: Iterable[str], *, timeout: float) -> None:
        """Each of them fires, at once or one after the other."""
        missing = set(names) - self.fired.keys()
        try:
            wait_until(lambda: not missing.difference_update(self.firing()) and not missing, timeout=timeout)
        except AssertionError as error:
            raise AssertionError(f"never fired within {timeout} s: {sorted(missing)}") from error

    def _get(self, path: str) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(self._url + path, timeout=10) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            found = json.load(error)
        return found

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
