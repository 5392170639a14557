"""Write the table of metrics in ``docs/operating.md`` from what a live ingest exposes."""

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

#: Labels that the exposition format adds to histograms and summaries.
_OF_THE_FORMAT = {"le", "quantile"}


def families(text: str) -> list[Metric]:
    """Parse our metrics from an answer of ``/metrics``, by name, without the creation times of counters."""
    found = [one for one in text_string_to_metric_families(text) if one.name.startswith("ackfirst_")]
    return sorted((one for one in found if not one.name.endswith("_created")), key=lambda one: one.name)


def series(text: str) -> set[str]:
    """Return the names that an expression may use: ``…_total``, ``…_bucket``, ``…_sum``."""
    return {sample.name for family in families(text) for sample in family.samples}


def table(text: str) -> str:
    """Build the table in Markdown, one row a metric."""
    rows = [_row(family) for family in families(text)]
    return "\n".join(["| metric | type | labels | meaning |", "| --- | --- | --- | --- |", *rows])


def _row(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = _labels(label for sample in family.samples for label in sample.labels)
    cells = (f"`{name}`", family.type, labels, family.documentation)
    return f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|"


def _labels(found: Iterable[str]) -> str:
    return ", ".join(f"`{label}`" for label in sorted(set(found) - _OF_THE_FORMAT))
