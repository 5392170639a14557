"""The alert rules that we ship: Prometheus takes them, and each has its tests, its words and its page."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.support.processes import ROOT
from tests.support.prometheus import FOLDER, alert_names, hasty, needs_prometheus, rules

PAGE = "docs/operating.md"


@needs_prometheus
@pytest.mark.parametrize(
    "command", ["check config prometheus.yml", "check rules alerts.yml", "test rules alerts_test.yml"]
)
def test_promtool_takes_it(command: str) -> None:
    done = subprocess.run(["promtool", *command.split()], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_has_words_a_severity_and_a_section_that_exists(rule: dict[str, Any]) -> None:
    words = rule["annotations"]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert words["summary"]
    assert "First:" in words["description"], "it says what to do first"
    page, _, anchor = words["runbook"].partition("#")
    assert page == PAGE
    assert anchor in anchors((ROOT / page).read_text())


def anchors(page: str) -> set[str]:
    """Where GitHub lets one link to in a page."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_has_no_section_of_an_alert_that_is_gone() -> None:
    described = re.findall(r"^### (Ackfirst\w+)$", (ROOT / PAGE).read_text(), re.MULTILINE)
    assert described == alert_names(), "in the order of the rules"


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    seen = {
        (re.findall(r'alertname="(\w+)"', test["expr"])[0], bool(test["exp_samples"]))
        for case in cases
        for test in case["promql_expr_test"]
    }
    assert seen == {(name, fires) for name in alert_names() for fires in (True, False)}


def test_prometheus_looks_for_every_ingest_at_its_admin_port() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    [found] = job["dns_sd_configs"]
    assert (found["names"], found["type"], found["port"]) == (["ingest"], "A", 8081)
    assert config["rule_files"] == ["alerts.yml"], "beside it, wherever both are mounted"
    assert all(f'job="{job["job_name"]}"' in rule["expr"] for rule in rules() if re.search(r"\bup\b", rule["expr"]))


def test_hasty_rules_are_the_same_rules_with_shorter_minutes() -> None:
    assert hasty("rate(x[5m]) > 5 * 60\nfor: 10m") == "rate(x[15s]) > 5 * 3\nfor: 30s"
