"""One catalogue of findings: ``doctor``, ``/readyz``, the alerts and the operator's page use no other id."""

import re

from ackfirst.shared.findings import CATALOGUE
from ackfirst.shared.findings.judge import (
    DATA_LOSS_SHOWN_SECONDS,
    LANE_STANDS_SECONDS,
    QUARANTINE_SHARE,
    SPOOL_SHARE,
)
from tests.support.processes import ROOT
from tests.support.prometheus import rules

#: Rooms in which findings are made.
MAKERS = ("ops", "shared/findings", "ingest", "workers")


def made() -> set[str]:
    """Ids in the source: the first argument of what makes a finding, and the tables of ids."""
    source = "\n".join(file.read_text() for room in MAKERS for file in (ROOT / room).rglob("*.py"))
    direct = re.findall(r'\b(?:error|warning|make)\(\s*"([a-z-]+)"', source)
    tables = re.findall(r'^    "[\w-]+": "((?:redis|tls|disk|edge)-[a-z-]+)",$', source, re.MULTILINE)
    return {*direct, *tables, *re.findall(r'IDS\.get\(\w+(?:\.\w+)?, "([a-z-]+)"\)', source)}


def alerted() -> set[str]:
    return {rule["labels"]["finding"] for rule in rules()}


def test_every_finding_that_is_made_is_in_the_catalogue() -> None:
    assert len(made()) > 45
    assert sorted(made() - CATALOGUE.keys()) == []


def test_every_alert_names_its_finding() -> None:
    assert sorted(alerted() - CATALOGUE.keys()) == []


def test_the_catalogue_has_nothing_that_is_never_found() -> None:
    assert sorted(CATALOGUE.keys() - made() - alerted()) == []


def test_the_page_has_an_anchor_for_each_and_for_no_other() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    assert re.findall(r'<a id="([a-z-]+)">', page) == sorted(CATALOGUE), "run make docs"


def test_links_of_the_catalogue_lead_to_sections_of_the_page() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    headings = {heading.lower() for heading in re.findall(r"^### (\w+)$", page, re.MULTILINE)}
    linked = {name for entry in CATALOGUE.values() for name in re.findall(r"\(#(\w+)\)", entry.meaning)}
    assert linked - headings == set()


def test_what_is_judged_has_the_thresholds_of_its_alert() -> None:
    limits = {rule["labels"]["finding"]: rule["expr"] for rule in rules()}
    assert LANE_STANDS_SECONDS == 5 * 60
    assert "> 5 * 60" in limits["lane-waits"]
    assert f"> {QUARANTINE_SHARE}" in limits["quarantine-full"]
    assert f"> {SPOOL_SHARE}" in limits["spool-filling"]
    assert "< 60 * 60" in limits["redis-data-lost"]
    assert DATA_LOSS_SHOWN_SECONDS == 60 * 60
