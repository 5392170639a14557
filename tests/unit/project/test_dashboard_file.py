"""The Grafana dashboard that we ship, as Grafana would read it: whole, in order, and with the limits of the alerts."""

import ast
import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.support.prometheus import rules
from tests.support.shipped_dashboard import FOLDER, dashboard, panels


def provisioned(folder: str, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / folder / name).read_text())
    return loaded


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    everything = dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    places = [panel["gridPos"] for panel in everything]
    assert [pair for pair in combinations(places, 2) if overlap(*pair)] == []
    assert all(place["x"] + place["w"] <= 24 for place in places)


def test_every_panel_has_a_description_a_unit_and_a_query() -> None:
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_everything_asks_the_data_source_that_is_provisioned() -> None:
    [source] = provisioned("datasources", "prometheus.yml")["datasources"]
    wanted = {"type": source["type"], "uid": source["uid"]}
    page = dashboard()
    asking = [*panels(), *page["annotations"]["list"], *page["templating"]["list"]]
    asking += [target for panel in panels() for target in panel["targets"]]
    assert [one for one in asking if one["datasource"] != wanted] == []


def test_the_provider_looks_where_the_dashboard_is_mounted() -> None:
    [provider] = provisioned("dashboards", "ackfirst.yml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/provisioning/dashboards"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_limit_that_is_drawn_is_that_of_its_alert(rule: dict[str, Any]) -> None:
    named = [panel for panel in panels() if f"Alert: {rule['alert']}." in panel["description"]]
    found = re.search(r"> ([\d. *]+?)(?: or .*| and .*)?$", rule["expr"])
    for panel in named:
        drawn = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        if not found:
            assert drawn == 1, "what must not be 0 is red below 1"
        elif limit := _product(found[1]):
            assert drawn == limit
        else:
            assert 0 < drawn <= 1, "red at the first"


def _product(text: str) -> float:
    """``5 * 60`` as a number."""
    numbers = [ast.literal_eval(part.strip()) for part in text.split("*")]
    result = 1.0
    for number in numbers:
        result *= number
    return result
