"""What a state of the queue means: one function judges it for ``/readyz``, ``doctor`` and the operator's page."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.findings import (
    CATALOGUE,
    Level,
    RecordState,
    SpoolState,
    SystemState,
    UnconfirmedAccount,
    judge,
)
from ackfirst.shared.queue.snapshot import LaneDepth, QueueSnapshot

WELL = SystemState(queue=QueueSnapshot(workers=1), spool=SpoolState(), record=RecordState())


def lane(**changed: Any) -> LaneDepth:
    return replace(LaneDepth(waiting=1, retries=0, dead_letters=0, oldest_seconds=0.5), **changed)


def queue(**changed: Any) -> SystemState:
    return replace(WELL, queue=replace(QueueSnapshot(workers=1), **changed))


def test_an_installation_that_works_has_no_findings() -> None:
    assert judge(WELL) == []
    assert judge(queue(lanes={"a": lane(waiting=50)})) == []


@pytest.mark.parametrize(
    ("state", "id_", "level"),
    [
        (replace(WELL, queue=None), "redis-down", Level.ERROR),
        (queue(clock_skew_seconds=-3.0), "clock-redis", Level.WARNING),
        (replace(WELL, data_lost="wiped", data_lost_seconds=60.0), "redis-data-lost", Level.ERROR),
        (queue(workers=0), "workers-none", Level.ERROR),
        (queue(lanes={"a": lane(is_unserved=True)}), "lane-unserved", Level.ERROR),
        (queue(lanes={"a": lane(is_paused=True, oldest_seconds=999)}), "lane-paused", Level.WARNING),
        (queue(lanes={"a": lane(oldest_seconds=61)}), "lane-waits", Level.WARNING),
        (queue(lanes={"a": lane(oldest_seconds=301)}), "lane-waits", Level.ERROR),
        (queue(lanes={"a": lane(dead_letters=3)}), "dead-letters", Level.WARNING),
        (queue(rejects=1), "rejects", Level.WARNING),
        (queue(quarantine_records=1), "quarantine", Level.WARNING),
        (replace(WELL, spool=SpoolState(records=5)), "spool-in-use", Level.WARNING),
        (replace(WELL, redis_trouble="Redis uses 90% of its maxmemory"), "spool-in-use", Level.ERROR),
        (replace(WELL, spool=SpoolState(trouble="No space left on device")), "spool-unusable", Level.ERROR),
        (replace(WELL, spool=SpoolState(used_ratio=0.51)), "spool-filling", Level.ERROR),
        (replace(WELL, spool=SpoolState(is_over_age=True)), "spool-over-age", Level.ERROR),
        (replace(WELL, spool=SpoolState(set_aside=1)), "spool-set-aside", Level.WARNING),
        (replace(WELL, record=RecordState(backlog=3, oldest_seconds=121.0)), "record-behind", Level.WARNING),
        (replace(WELL, record=RecordState(gap_events=1)), "record-gap", Level.ERROR),
    ],
)
def test_each_trouble_has_its_finding(state: SystemState, id_: str, level: Level) -> None:
    [finding] = judge(state)
    assert (finding.id, finding.level) == (id_, level)


def test_without_redis_and_disk_ingest_is_not_ready() -> None:
    state = replace(WELL, queue=None, spool=SpoolState(trouble="No space left on device"))
    assert [finding.id for finding in judge(state)] == ["redis-down", "ingest-not-ready", "spool-unusable"]


def test_a_loss_of_data_is_shown_for_an_hour() -> None:
    assert judge(replace(WELL, data_lost="wiped", data_lost_seconds=3601.0)) == []


def test_a_quarantine_that_is_nearly_full_is_one_finding() -> None:
    state = replace(queue(quarantine_records=81), quarantine_max_records=100, quarantine_max_bytes=1000)
    assert [finding.id for finding in judge(state)] == ["quarantine-full"]


def test_without_workers_no_lane_is_blamed() -> None:
    state = queue(workers=0, lanes={"a": lane(oldest_seconds=999, is_unserved=True)})
    assert [finding.id for finding in judge(state)] == ["workers-none"]


def test_the_oldest_lanes_and_the_dead_of_the_last_hour_are_named() -> None:
    lanes = {f"l{number}": lane(oldest_seconds=100 + number, dead_letters=2, dead_last_hour=1) for number in range(7)}
    waits, dead = judge(queue(lanes=lanes))
    assert waits.what == "events wait for up to 106 s in l6, l5, l4, l3, l2 and 2 more"
    assert "14 dead letters" in dead.what
    assert "7 of the last hour" in dead.what


def test_unconfirmed_accounts_are_told_from_unknown_ones() -> None:
    accounts = (
        UnconfirmedAccount(account="abcd1234", is_ours=True),
        UnconfirmedAccount(account="ffffffff", is_ours=False),
    )
    ours, unknown = judge(replace(WELL, unconfirmed=accounts))
    assert (ours.id, unknown.id) == ("account-unconfirmed", "accounts-unknown")
    assert "ffffffff" not in ours.what


numbers = st.integers(0, 10**6)
seconds = st.floats(0, 10**6)
lane_depths = st.builds(
    LaneDepth,
    waiting=numbers,
    retries=numbers,
    dead_letters=numbers,
    dead_last_hour=numbers,
    oldest_seconds=seconds,
    is_unserved=st.booleans(),
    is_paused=st.booleans(),
)
snapshots = st.builds(
    QueueSnapshot,
    workers=numbers,
    quarantine_records=numbers,
    quarantine_bytes=numbers,
    rejects=numbers,
    clock_skew_seconds=st.floats(-1e6, 1e6),
    lanes=st.dictionaries(st.text(), lane_depths),
)
states = st.builds(
    SystemState,
    queue=st.none() | snapshots,
    redis_trouble=st.none() | st.text(),
    data_lost=st.sampled_from([None, "wiped"]),
    data_lost_seconds=seconds,
    quarantine_max_records=st.none() | numbers,
    spool=st.none() | st.builds(SpoolState, records=numbers, trouble=st.none() | st.text()),
    record=st.none() | st.builds(RecordState, backlog=numbers, oldest_seconds=seconds, gap_events=numbers),
    unconfirmed=st.lists(st.builds(UnconfirmedAccount, account=st.text(), is_ours=st.booleans())).map(tuple),
)


@given(states)
def test_whatever_the_state_findings_are_of_the_catalogue_and_errors_come_first(state: SystemState) -> None:
    findings = judge(state)
    assert all(finding.id in CATALOGUE and finding.what and finding.fix for finding in findings)
    levels = [finding.level for finding in findings]
    assert levels == sorted(levels, key=lambda level: level is not Level.ERROR)
