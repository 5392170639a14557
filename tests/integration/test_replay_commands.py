"""``ackfirst replay`` and ``ackfirst dead replay|drop`` against a real record and a real Redis."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from click import ClickException
from click.testing import CliRunner, Result

from ackfirst import Event, on
from ackfirst.ops import cli
from ackfirst.ops.record.replay_options import wait_for_end
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.store import EventFilter, Store
from tests.support.factories import API_KEY, SECRET, make_envelope
from tests.support.jobs import burst, enqueue, status
from tests.support.replays import begin, known, record_in, run_to_end, runner_of, write

Run = Callable[..., Result]
HOUR = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with record_in(tmp_path) as opened:
        yield opened


@pytest.fixture
def run(redis_url: str, tmp_path: Path) -> Run:
    def invoke(*args: str, input: str | None = None, store_url: str = "") -> Result:  # noqa: A002 - click's name for it
        env = {
            "ACKFIRST_REDIS_URL": redis_url,
            "ACKFIRST_DATA_DIR": str(tmp_path),
            "ACKFIRST_STORE_URL": store_url,
            "ACKFIRST_API_KEY": API_KEY,
            "ACKFIRST_SIGNATURE_SECRET": SECRET,
            "COLUMNS": "160",
        }
        return CliRunner().invoke(cli.main, args, env=env, input=input)

    return invoke


def one(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    (found,) = (json.loads(line) for line in result.stdout.splitlines())
    assert isinstance(found, dict)
    return found


def recent(*ago: float, **fields: Any) -> list[Envelope]:
    return [make_envelope(received_at=time.time() - seconds, **fields) for seconds in ago]


def incident(store: Store) -> tuple[list[Envelope], list[Envelope]]:
    """Ten dead letters of one handler and five of another, within the last hour, and a processed event."""
    first, second = recent(*range(1000, 1010)), recent(*range(2000, 2005), family="message-status")
    write(store, first, "dead", at=time.time() - 900, charge="dead", log="done")
    write(store, second, "dead", at=time.time() - 800, notify="dead", log="done")
    write(store, recent(3000), at=time.time() - 700, log="done")
    return first, second


@on(retries=0)
def charge(event: Event) -> None:
    raise ValueError("broken")


def test_a_dry_run_prints_the_resolved_plan_and_changes_nothing(
    redis_sync: redis.Redis, store: Store, run: Run
) -> None:
    incident(store)
    plan = one(run("replay", "--since", "1h", "--rate", "10", "--dry-run", "--json"))
    assert plan["events"] == 16
    assert plan["seconds"] == 1.6
    assert sum(day["events"] for day in plan["days"]) == 16
    assert {(day["family"], day["state"]) for day in plan["days"]} == {
        ("inbound-message", "dead"),
        ("message-status", "dead"),
        ("inbound-message", "processed"),
    }
    assert plan["handlers"] == [
        {"handler": "my_handlers.charge", "events": 10},
        {"handler": "my_handlers.notify", "events": 5},
        {"handler": "my_handlers.log", "events": None},
    ]
    assert plan["since"] < plan["oldest"] < plan["newest"] < plan["until"]
    shown = run("replay", "--since", "1h", "--dry-run").stdout
    assert "Replay of 16 events" in shown
    assert "my_handlers.charge: 10 events" in shown
    assert store.replays() == []
    assert not redis_sync.keys("rq:*")


@pytest.mark.parametrize(
    "args",
    [
        ("replay",),
        ("replay", "--state", "dead"),
        ("replay", "--handler", "my_handlers.charge"),
        ("replay", "--event", "m-1", "--since", "1h"),
        ("replay", "--since", "1h", "list"),
        ("dead", "replay"),
        ("dead", "drop"),
        ("dead", "drop", "--all", "--handler", "x"),
        ("dead", "replay", "--event", "m-1", "--since", "1h"),
    ],
)
def test_a_replay_that_is_not_scoped_is_refused(store: Store, run: Run, args: tuple[str, ...]) -> None:
    refused = run(*args)
    assert refused.exit_code == 2
    assert store.replays() == []


def test_a_replay_asks_before_it_starts(redis_sync: redis.Redis, store: Store, run: Run) -> None:
    incident(store)
    refused = run("replay", "--since", "1h", input="n\n")
    assert refused.exit_code == 1
    assert "Replay 16 events?" in refused.output
    assert store.replays() == []
    assert run("replay", "--since", "1h", input="y\n").exit_code == 0
    assert len(store.replays()) == 1


def test_a_started_replay_is_listed_and_means_a_fixed_range(redis_sync: redis.Redis, store: Store, run: Run) -> None:
    incident(store)
    args = ("--name", "charge was down", "--reason", "fixed in 1.2", "--rate", "50", "--handler", "my_handlers.charge")
    started = one(run("replay", "--since", "1h", *args, "--yes", "--json"))
    (listed,) = (json.loads(line) for line in run("replay", "list", "--json").stdout.splitlines())
    assert listed == started
    assert (listed["state"], listed["total"], listed["handlers"]) == ("running", 16, ["my_handlers.charge"])
    (replay,) = store.replays()
    assert (replay.name, replay.reason, replay.rate) == ("charge was down", "fixed in 1.2", 50.0)
    chosen = json.loads(replay.filter)["filter"]
    assert time.time() - HOUR - 60 < chosen["since"] < chosen["until"] <= time.time()
    (act,) = store.audit_rows()
    assert (act.act, act.subject) == ("replay-started", replay.id)
    assert "charge was down" in run("replay", "list").stdout


def test_several_events_are_named_behind_one_option(redis_sync: redis.Redis, store: Store, run: Run) -> None:
    first, second = incident(store)
    ids = [first[3].id, second[0].id]
    plan = one(run("replay", "--event", *ids, "m-unknown", "--dry-run", "--json"))
    assert plan["events"] == 2
    assert plan["unknown"] == ["m-unknown"]
    assert [(run_["handler"], run_["events"]) for run_ in plan["handlers"]] == [
        ("my_handlers.charge", 1),
        ("my_handlers.notify", 1),
    ]
    assert one(run("replay", "--event", ids[0], "--event", ids[1], "--dry-run", "--json"))["events"] == 2
    assert one(run("dead", "replay", "--event", *ids, "--dry-run", "--json"))["events"] == 2


def test_nothing_to_replay_is_exit_code_1(redis_sync: redis.Redis, store: Store, run: Run) -> None:
    nothing = run("replay", "--since", "1h", "--yes")
    assert nothing.exit_code == 1
    assert "nothing to replay" in nothing.output


def test_a_handler_that_never_ran_is_pointed_out(redis_sync: redis.Redis, store: Store, run: Run) -> None:
    incident(store)
    assert "check the name" in run("replay", "--since", "1h", "--handler", "my_handlers.chrage", "--dry-run").stdout


def test_a_replay_is_paused_resumed_slowed_down_and_stopped(redis_sync: redis.Redis, store: Store, run: Run) -> None:
    replay = begin(store, EventFilter(until=time.time()))
    assert run("replay", "pause", replay.id).exit_code == 0
    assert known(store, replay).state == "paused"
    again = run("replay", "pause", replay.id)
    assert again.exit_code == 1
    assert "is paused" in again.output
    assert run("replay", "resume", replay.id).exit_code == 0
    assert run("replay", "rate", replay.id, "3").exit_code == 0
    assert (known(store, replay).state, known(store, replay).rate) == ("running", 3.0)
    assert run("replay", "stop", replay.id).exit_code == 0
    assert run("replay", "resume", replay.id).exit_code == 1
    assert run("replay", "stop", "r-unknown").exit_code == 1
    acts = [row.act for row in store.audit_rows()]
    assert acts == ["replay-stopped", "replay-rate-changed", "replay-resumed", "replay-paused"]


def test_show_says_how_the_events_have_ended(redis_sync: redis.Redis, redis_url: str, store: Store, run: Run) -> None:
    write(store, recent(10, 20), "dead", at=time.time() - 5, charge="dead")
    charge.__module__ = "my_handlers"
    replay = begin(store, EventFilter(until=time.time()))
    run_to_end(runner_of(redis_sync, store), store, replay)
    burst(redis_url, charge)
    shown = one(run("replay", "show", replay.id, "--json"))
    assert (shown["state"], shown["moved"], shown["died"], shown["succeeded"]) == ("done", 2, 2, 0)
    assert shown["failures"] == [f"{charge.__module__}.charge: ValueError"]
    assert replay.id in run("replay", "show", replay.id).stdout
    assert run("replay", "show", "r-unknown").exit_code == 1
    assert known(store, replay).died == 0, "copied when the last event was queued"
    assert one(run("replay", "list", "--json"))["died"] == 2
    with pytest.raises(ClickException, match="2 events died again"):
        wait_for_end(redis_sync, store, replay)


@pytest.mark.parametrize(
    ("args", "events"),
    [
        (("--handler", "my_handlers.charge"), 10),
        (("--error", "ValueError"), 15),
        (("--error", "KeyError"), 0),
        (("--since", "850s"), 5),
        (("--until", "850s"), 10),
        (("--all",), 15),
    ],
)
def test_dead_letters_are_chosen_by_handler_error_and_the_time_they_died(
    redis_sync: redis.Redis, store: Store, run: Run, args: tuple[str, ...], events: int
) -> None:
    incident(store)
    assert one(run("dead", "replay", *args, "--dry-run", "--json"))["events"] == events
    assert one(run("dead", "drop", *args, "--dry-run", "--json"))["events"] == events


def test_dead_replay_runs_the_handler_that_it_names(redis_sync: redis.Redis, store: Store, run: Run) -> None:
    first, _ = incident(store)
    started = one(run("dead", "replay", "--handler", "my_handlers.charge", "--yes", "--json"))
    (replay,) = store.replays()
    assert (started["total"], replay.handlers) == (10, "my_handlers.charge")
    runner, now = runner_of(redis_sync, store), time.time()
    runner.step(now)
    runner.step(now + 0.1)
    assert redis_sync.llen(keys.queue(first[0].lane)) == 10


def test_waiting_gives_up_on_events_whose_retry_may_come_in_hours(
    redis_sync: redis.Redis, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, recent(10), at=time.time() - 5, log="done")
    replay = begin(store, EventFilter(until=time.time()))
    run_to_end(runner_of(redis_sync, store), store, replay)
    monkeypatch.setattr("ackfirst.ops.record.replay_options.PATIENCE_SECONDS", 0.1)
    with pytest.raises(ClickException, match="1 event without an end for a minute"):
        wait_for_end(redis_sync, store, replay)


def test_dead_replay_refuses_what_is_no_dead_letter(redis_sync: redis.Redis, store: Store, run: Run) -> None:
    (event,) = recent(10)
    write(store, [event], at=time.time() - 5, log="done")
    refused = run("dead", "replay", "--event", event.id, "--yes")
    assert (refused.exit_code, store.replays()) == (1, [])
    assert "not all of these are dead letters (1 processed): ackfirst replay" in refused.output


def test_dropped_dead_letters_leave_the_queue_and_stay_in_the_record(
    redis_sync: redis.Redis, redis_url: str, store: Store, run: Run
) -> None:
    kept, requeued, gone = recent(10, 20, 30, lane="one")
    charge.__module__ = "my_handlers"
    enqueue(redis_sync, kept, requeued)
    burst(redis_url, charge)
    write(store, [kept, requeued, gone], "dead", at=time.time() - 5, charge="dead")
    redis_sync.hset(keys.job(requeued.id), "status", "queued")
    dropped = one(run("dead", "drop", "--all", "--reason", "test data", "--yes", "--json"))
    assert dropped == {"dropped": 2}
    assert status(redis_sync, kept.id) is None
    assert redis_sync.zrange(keys.failed("one"), 0, -1) == [requeued.id.encode()]
    assert status(redis_sync, requeued.id) == "queued"
    lines = [line for _, fields in redis_sync.xrange(keys.RECORD) for line in json.loads(fields.get(b"o", b"[]"))]
    lines = [line for line in lines if line[2] == "discarded"]
    assert {line[0] for line in lines} == {kept.id, gone.id}
    assert all(line[7].endswith(": test data") for line in lines)
    (act,) = store.audit_rows()
    assert (act.act, act.detail) == ("dead-dropped", "test data")


def test_dropping_asks_first(redis_sync: redis.Redis, store: Store, run: Run) -> None:
    incident(store)
    refused = run("dead", "drop", "--handler", "my_handlers.charge", input="n\n")
    assert refused.exit_code == 1
    assert "Drop 10 dead letters?" in refused.output
    assert "my_handlers.charge: 10 dead letters" in refused.output
    assert not redis_sync.exists(keys.RECORD)


def test_without_a_record_a_dead_letter_in_rq_is_replayed_by_its_id(
    redis_sync: redis.Redis, redis_url: str, run: Run
) -> None:
    dead, waiting = make_envelope(lane="one"), make_envelope(lane="two")
    seen: list[str] = []

    @on(retries=0)
    def works(event: Event) -> None:
        seen.append(event.id)

    charge.__module__ = works.__module__ = "my_handlers"
    enqueue(redis_sync, dead)
    burst(redis_url, charge)
    enqueue(redis_sync, waiting)
    result = run("dead", "replay", "--event", dead.id, waiting.id, "--yes", store_url="off")
    assert result.exit_code == 1
    assert "Back in the lanes: 1 event\n" in result.stdout
    assert "1 are no dead letters" in result.output
    burst(redis_url, works)
    assert sorted(seen) == sorted([dead.id, waiting.id])
    refused = run("dead", "replay", "--all", "--yes", store_url="off")
    assert refused.exit_code == 2
    assert "ACKFIRST_STORE_URL" in refused.output
    refused = run("replay", "--since", "1h", store_url="off")
    assert refused.exit_code == 2
    assert "ACKFIRST_STORE_URL" in refused.output


def test_without_a_record_a_dead_letter_in_rq_is_dropped_by_its_id(
    redis_sync: redis.Redis, redis_url: str, run: Run
) -> None:
    dead = make_envelope(lane="one")
    enqueue(redis_sync, dead)
    burst(redis_url, charge)
    assert run("dead", "drop", "--event", dead.id, "--yes", store_url="off").exit_code == 0
    assert status(redis_sync, dead.id) is None
    assert not redis_sync.zcard(keys.failed("one"))
