"""Every question of the Grafana dashboard is one that a real Prometheus understands."""

from pathlib import Path

from tests.support.prometheus import Prometheus, needs_prometheus
from tests.support.shipped_dashboard import expressions


@needs_prometheus
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    asked = list(expressions())
    assert len(asked) > 40
    with Prometheus(tmp_path) as prometheus:
        for expression in asked:
            assert "$" not in expression, "a variable of Grafana's that the test does not fill in"
            prometheus.query(expression)
