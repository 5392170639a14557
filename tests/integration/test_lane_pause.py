"""A paused lane gives no job to any worker, and is taken from again as soon as it is resumed."""

import json
import time

import pytest
import redis
from click.testing import CliRunner

from ackfirst import Event, on
from ackfirst.ops import lanes
from ackfirst.ops.cli import main
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.snapshot import QueueSnapshot
from tests.integration.test_worker_ready_lanes import fill, lanes_for, ready, take
from tests.support.factories import make_envelope
from tests.support.jobs import burst, enqueue, status


def test_no_job_of_a_paused_lane_is_taken(redis_sync: redis.Redis) -> None:
    for lane in ("held", "other"):
        fill(redis_sync, lane, 3)
    assert lanes.pause(redis_sync, "held", who="mara", now=time.time())
    assert take(lanes_for(redis_sync), 10) == ["other"] * 3
    assert take(lanes_for(redis_sync, engine="e2"), 10) == []
    assert redis_sync.llen(keys.queue("held")) == 3
    assert ready(redis_sync) == ["held"], "it keeps its place"
    assert lanes.resume(redis_sync, "held")
    assert take(lanes_for(redis_sync, engine="e3"), 10) == ["held"] * 3


def test_a_worker_that_serves_this_lane_alone_waits_too(redis_sync: redis.Redis) -> None:
    fill(redis_sync, "held")
    lanes.pause(redis_sync, "held", who="mara", now=time.time())
    assert take(lanes_for(redis_sync, "held"), 10) == []
    lanes.resume(redis_sync, "held")
    assert take(lanes_for(redis_sync, "held"), 10) == ["held"]


def test_many_paused_lanes_hide_no_other(redis_sync: redis.Redis) -> None:
    for number in range(300):
        fill(redis_sync, f"held-{number}")
        lanes.pause(redis_sync, f"held-{number}", who="mara", now=time.time())
    fill(redis_sync, "other")
    assert take(lanes_for(redis_sync), 1) == ["other"]


def test_a_foreign_key_in_place_of_the_pauses_stops_no_worker(redis_sync: redis.Redis) -> None:
    fill(redis_sync, "other")
    redis_sync.set(keys.PAUSED, "?")
    assert take(lanes_for(redis_sync), 1) == ["other"]


def test_a_resume_wakes_a_worker_that_waits(redis_sync: redis.Redis) -> None:
    fill(redis_sync, "held")
    lanes.pause(redis_sync, "held", who="mara", now=time.time())
    redis_sync.delete(keys.BELL)
    lanes.resume(redis_sync, "held")
    assert lanes_for(redis_sync).wait(1)


def test_events_of_a_paused_lane_are_handled_after_the_resume(redis_sync: redis.Redis, redis_url: str) -> None:
    handled: list[str] = []

    @on()
    def note(event: Event) -> None:
        handled.append(event.id)

    envelope = make_envelope(lane="held")
    enqueue(redis_sync, envelope)
    lanes.pause(redis_sync, "held", who="mara", now=time.time())
    burst(redis_url, note)
    assert (handled, status(redis_sync, envelope.id)) == ([], "queued")
    lanes.resume(redis_sync, "held")
    burst(redis_url, note)
    assert (handled, status(redis_sync, envelope.id)) == ([envelope.id], "finished")


def test_only_a_lane_that_exists_is_paused(redis_sync: redis.Redis) -> None:
    with pytest.raises(lanes.UnknownLaneError):
        lanes.pause(redis_sync, "typo", who="mara", now=time.time())
    assert not redis_sync.exists(keys.PAUSED)


@pytest.fixture
def cli(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("ACKFIRST_REDIS_URL", redis_url)
    return CliRunner()


def test_the_command_lists_pauses_and_resumes(redis_sync: redis.Redis, cli: CliRunner) -> None:
    fill(redis_sync, "held", 2)
    assert "held is paused" in cli.invoke(main, ["lanes", "pause", "held"]).output
    assert "held was paused before" in cli.invoke(main, ["lanes", "pause", "held"]).output
    (row,) = map(json.loads, cli.invoke(main, ["lanes", "--json"]).output.splitlines())
    assert (row["name"], row["waiting"], row["paused_at"] > 0, bool(row["paused_by"])) == ("held", 2, True, True)
    assert "since 20" in cli.invoke(main, ["lanes"]).output
    assert "held is resumed" in cli.invoke(main, ["lanes", "resume", "held"]).output
    assert "held was not paused" in cli.invoke(main, ["lanes", "resume", "held"]).output
    refused = cli.invoke(main, ["lanes", "pause", "typo"])
    assert (refused.exit_code, "there is no lane 'typo'" in refused.output) == (1, True)


def test_a_paused_lane_that_was_retired_is_still_listed(redis_sync: redis.Redis) -> None:
    fill(redis_sync, "held")
    lanes.pause(redis_sync, "held", who="mara", now=1_000.5)
    redis_sync.delete(keys.LANES)
    (lane,) = lanes.lanes_of(redis_sync, QueueSnapshot())
    assert (lane.name, lane.waiting, lane.paused_at, lane.paused_by) == ("held", 0, 1_000.5, "mara")
