"""Series that an alarm counts the increase of are there before their first event: Prometheus sees none otherwise."""

from prometheus_client import CollectorRegistry

from ackfirst.ingest.metrics import IngestMetrics
from ackfirst.ingest.snapshot import OUTCOMES, SnapshotCollector
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.policy import Verdict
from ackfirst.shared.queue.snapshot import QueueSnapshot
from ackfirst.workers.processing.outcome import EventEnding


def test_every_verdict_is_counted_from_0_for_every_family() -> None:
    registry = CollectorRegistry()
    IngestMetrics(registry)
    found = [
        registry.get_sample_value("ackfirst_callbacks_total", {"family": family, "verdict": verdict})
        for family in ("none", *Family)
        for verdict in Verdict
    ]
    assert found == [0] * len(found)


def test_every_outcome_is_counted_from_0_also_when_redis_has_counted_none() -> None:
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(lambda: QueueSnapshot(outcomes={"processed": 7})))
    found = {name: registry.get_sample_value("ackfirst_events_total", {"outcome": name}) for name in OUTCOMES}
    assert found == {**dict.fromkeys(OUTCOMES, 0), "processed": 7}


def test_ingest_knows_the_outcomes_that_workers_write() -> None:
    assert set(OUTCOMES) == set(EventEnding)


def test_the_limits_of_the_quarantine_are_shown() -> None:
    registry = CollectorRegistry()
    IngestMetrics(registry).limit_quarantine(10_000, 67_108_864)
    assert registry.get_sample_value("ackfirst_quarantine_max_records") == 10_000
    assert registry.get_sample_value("ackfirst_quarantine_max_bytes") == 67_108_864
