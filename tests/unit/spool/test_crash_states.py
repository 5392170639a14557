"""After a loss of power at any moment, every acknowledged event is on the disk, and none that was never sent."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ackfirst.ingest.spool import segment_log
from ackfirst.ingest.spool.segment_log import SegmentLog
from ackfirst.shared.spool.folder import take_slot
from ackfirst.shared.spool.frame import Frame
from tests.support.forgetful_disk import ForgetfulDisk, Mark
from tests.support.ingest import RecordingLog

#: Workloads, and states that are built of each.
WORKLOADS = int(os.environ.get("TEST_CRASH_WORKLOADS", "120"))
STATES = 25

#: Small, so that a workload meets the end of a segment several times.
SEGMENT_BYTES = 1500

Action = tuple[str, int]

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 8)),
        st.tuples(st.just("drain"), st.integers(1, 12)),
        st.tuples(st.just("refuse"), st.integers(1, 4)),
        st.tuples(st.just("tidy"), st.integers(0, 1)),
        st.tuples(st.sampled_from(["restart", "fail-fsync", "fail-write"]), st.just(0)),
    ),
    min_size=2,
    max_size=14,
)


@pytest.fixture(autouse=True)
def _small_segments() -> Iterator[None]:
    with patch.object(segment_log, "SEGMENT_BYTES", SEGMENT_BYTES):
        yield


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory where there is such a disk: thousands of states are built there."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)


def opened(root: Path) -> SegmentLog:
    segments = SegmentLog(take_slot(root / "data" / "spool"), max_bytes=1, log=RecordingLog())
    while segments.count_next():
        pass
    return segments


def closed(segments: SegmentLog) -> None:
    segments.close()
    segments.slot.release()


def play(disk: ForgetfulDisk, actions: list[Action]) -> None:
    """Do to a spool what ingest does, and mark what was acknowledged, and what Redis has confirmed."""
    random, number = Random(7), 0
    with disk.recording():
        segments = opened(disk.root)
        for action, count in actions:
            match action:
                case "append":
                    frames = [Frame(float(number + n), random.randbytes(random.randrange(700))) for n in range(count)]
                    number += count
                    disk.mark("sent", frames)
                    try:
                        segments.append(frames)
                    except OSError:
                        continue
                    disk.mark("acknowledged", frames)
                case "drain" | "refuse":
                    page = segments.page(count)
                    if page is not None:
                        stays = page.records[-1:] if action == "refuse" else []
                        done = [one.frame for one in page.records if one not in stays]
                        disk.mark("confirmed", done)
                        segments.settle(page, len(page.records), unreadable=[], refused=stays)
                        segments.tidy(idle=False)
                case "tidy":
                    segments.tidy(idle=bool(count))
                case "restart":
                    closed(segments)
                    segments = opened(disk.root)
                case _:
                    disk.failing.append("fsync" if action == "fail-fsync" else "write")
        closed(segments)


def found_in(root: Path) -> list[Frame]:
    """What the next process finds, by the way that it goes."""
    segments = opened(root)
    found = []
    while page := segments.page(100):
        found += [record.frame for record in page.records if record.frame]
        segments.settle(page, len(page.records), unreadable=[], refused=[])
    closed(segments)
    return found


def violation(disk: ForgetfulDisk, random: Random) -> str | None:
    """Build one state; say what is wrong with it."""
    moment = random.randrange(len(disk.operations) + 1)
    before = disk.operations[:moment]
    marked = {
        what: {id(frame): frame for op in before if isinstance(op, Mark) and op.what == what for frame in op.value}
        for what in ("sent", "acknowledged")
    }
    confirmed = {frame for op in before if isinstance(op, Mark) and op.what == "confirmed" for frame in op.value}
    with memory_folder() as name:
        disk.after_power_loss(moment, random, Path(name))
        found = set(found_in(Path(name)))
    sent, acknowledged = set(marked["sent"].values()), set(marked["acknowledged"].values())
    if missing := acknowledged - confirmed - found:
        return f"after {moment} operations, {len(missing)} acknowledged events are missing"
    if invented := found - sent:
        return f"after {moment} operations, {len(invented)} events were never sent"
    return None


@settings(max_examples=WORKLOADS, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(ACTIONS, st.integers(0, 2**32))
def test_no_state_that_a_power_loss_may_leave_has_lost_or_invented_an_event(actions: list[Action], seed: int) -> None:
    with memory_folder() as root:
        disk = ForgetfulDisk(Path(root))
        play(disk, actions)
    random = Random(seed)
    for state in range(STATES):
        note(f"state {state} of seed {seed}")
        assert violation(disk, random) is None


@pytest.mark.parametrize(
    "ignored", [{"files"}, {"folders"}, {"files", "folders"}], ids=lambda parts: " and ".join(sorted(parts))
)
def test_without_a_sync_the_same_search_finds_a_loss(ignored: set[Literal["files", "folders"]]) -> None:
    assert any(violations_of([("append", 3), ("append", 8), ("append", 2)], frozenset(ignored)))
    assert not any(violations_of([("append", 3), ("append", 8), ("append", 2)], frozenset()))


class SecondSync:
    """``os`` with the mistake of taking a second fsync, which succeeds, for the first one, which failed."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    @staticmethod
    def fsync(fd: int) -> None:
        try:
            os.fsync(fd)
        except OSError:
            os.fsync(fd)


def test_an_acknowledgement_that_rests_on_a_second_fsync_of_the_same_pages_is_found_out() -> None:
    actions: list[Action] = [("append", 1), ("fail-fsync", 0), ("append", 2), ("append", 1)]
    assert not any(violations_of(actions, frozenset()))
    with patch.object(segment_log, "os", SecondSync()):
        assert any(violations_of(actions, frozenset()))


def violations_of(actions: list[Action], ignored: frozenset[Literal["files", "folders"]]) -> Iterator[str | None]:
    with memory_folder() as root:
        disk = ForgetfulDisk(Path(root), ignored)
        play(disk, actions)
    random = Random(1)
    return (violation(disk, random) for _ in range(200))
