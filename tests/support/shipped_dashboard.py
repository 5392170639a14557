"""The Grafana dashboard in ``deploy/`` and what its panels ask Prometheus."""

import json
from collections.abc import Iterator
from typing import Any

from tests.support.processes import ROOT

FOLDER = ROOT / "deploy" / "grafana"


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / "dashboards" / "ackfirst.json").read_text())
    return loaded


def panels() -> list[dict[str, Any]]:
    """Those that show something: no rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    """What is asked of Prometheus, with Grafana's own variables filled in as Grafana does."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    asked += [annotation["target"]["expr"] for annotation in dashboard()["annotations"]["list"]]
    for expression in asked:
        yield expression.replace("$__rate_interval", "1m").replace("$lane", ".*")
