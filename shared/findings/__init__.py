"""Findings: what can be wrong with an installation, under one id in ``/readyz``, ``doctor``, alerts and the page.

``catalogue`` has every id, ``judge`` decides what a state of the queue means. ``docs/operating.md`` has an anchor for
each id.
"""

from ackfirst.shared.findings.catalogue import CATALOGUE
from ackfirst.shared.findings.finding import Finding, Findings, Level, error, warning
from ackfirst.shared.findings.judge import RecordState, SpoolState, SystemState, UnconfirmedAccount, judge

__all__ = [
    "CATALOGUE",
    "Finding",
    "Findings",
    "Level",
    "RecordState",
    "SpoolState",
    "SystemState",
    "UnconfirmedAccount",
    "error",
    "judge",
    "warning",
]
