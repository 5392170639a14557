"""``ackfirst events``, ``stats`` and ``dead`` against a real record and a real Redis."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from ackfirst import Context, Event, on
from ackfirst.ops import cli
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.store import Gap, Request, Store
from tests.support.factories import API_KEY, LANE, SECRET, inbound_message, make_envelope
from tests.support.jobs import burst, enqueue
from tests.support.processes import Cli
from tests.support.recorded import attempt, ending, new_store, write
from tests.support.waiting import wait_until

NUMBER = "447700900417"
Run = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def run(redis_url: str, tmp_path: Path) -> Run:
    def invoke(*args: str, store_url: str = "", columns: str = "160") -> Result:
        env = {
            "ACKFIRST_REDIS_URL": redis_url,
            "ACKFIRST_DATA_DIR": str(tmp_path),
            "ACKFIRST_STORE_URL": store_url,
            "ACKFIRST_API_KEY": API_KEY,
            "ACKFIRST_SIGNATURE_SECRET": SECRET,
            "COLUMNS": columns,
        }
        return CliRunner().invoke(cli.main, args, env=env)

    return invoke


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def recent(seconds_ago: float, **fields: Any) -> Envelope:
    payload = inbound_message(**fields.pop("payload", {}))
    return make_envelope(received_at=time.time() - seconds_ago, payload=payload, **fields)


def dead(store: Store, *, ago: float, handler: str = "receipts.save", error: str = "TimeoutError") -> Envelope:
    envelope = recent(ago + 2)
    failed = attempt(envelope, "dead", handler=handler, error_type=error, message="no answer")
    write(store, envelope, attempts=[failed], endings=[ending(envelope, "dead")])
    return envelope


@on("inbound-message", retries=0)
def dies(event: Event, context: Context) -> None:
    raise KeyError("berth")


def test_events_are_listed_newest_last_and_masked(store: Store, run: Run) -> None:
    envelopes = [recent(ago) for ago in (30, 20, 10)]
    write(store, *envelopes)
    found = objects(run("events", "--json"))
    assert [one["event_id"] for one in found] == [envelope.id for envelope in envelopes]
    assert found[0]["recipient"] == "120•••••142"
    table = run("events", "--limit", "2").stdout
    assert "2 shown of 3" in table
    assert NUMBER not in table
    assert NUMBER in run("events", "--personal").stdout


@pytest.mark.parametrize(
    "condition",
    [
        ("--from-number", "+44 7700 900417"),
        ("--to", "12015550142"),
        ("--family", "inbound-message"),
        ("--state", "processed"),
        ("--lane", LANE),
        ("--account", API_KEY),
        ("--since", "15s"),
    ],
)
def test_events_are_found_by_each_condition(store: Store, run: Run, condition: tuple[str, str]) -> None:
    wanted = recent(5)
    other = recent(
        900,
        payload={"from": "447700900999", "to": "12015550199"},
        family="message-status",
        account="ffffffff",
        application_id=None,
        lane="ffffffff",
    )
    write(store, wanted, other, endings=[ending(wanted)])
    assert [one["event_id"] for one in objects(run("events", *condition, "--json"))] == [wanted.id]


def test_the_list_of_events_fits_80_columns_and_shows_whole_ids(store: Store, run: Run) -> None:
    write(store, envelope := recent(5))
    lines = run("events", columns="80").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(envelope.id in line for line in lines)


def test_new_events_are_followed_until_ctrl_c(store: Store, redis_url: str, tmp_path: Path) -> None:
    write(store, old := recent(60))
    env = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_DATA_DIR": str(tmp_path)}
    new = []

    def a_new_one_is_shown() -> bool:
        new.append(recent(0))  # again and again: what comes before it has begun to follow is old to it
        write(store, new[-1])
        return any(one.id in followed.output for one in new)

    with Cli("events", "--follow", "--json", cwd=tmp_path, env=env) as followed:
        followed.wait_for_output(old.id, timeout=60)
        wait_until(a_new_one_is_shown, timeout=60)
        followed.process.send_signal(signal.SIGINT)
        followed.wait()
    assert followed.process.returncode == 0
    first, *others = [json.loads(line)["event_id"] for line in followed.output.splitlines()]
    assert first == old.id
    assert others == [one.id for one in new if one.id in others], "each once, in their order"


def test_a_listing_says_when_the_record_is_behind(store: Store, run: Run, redis_sync: redis.Redis) -> None:
    redis_sync.xadd("ackfirst:record", {"a": "m-1"}, id=f"{int((time.time() - 90) * 1000)}-0")
    assert "behind: newer events are not shown" in run("events").stderr


def test_without_a_record_events_says_which_setting_to_look_at(run: Run) -> None:
    result = run("events", store_url="off")
    assert result.exit_code == 2
    assert "ACKFIRST_STORE_URL" in result.output


def test_dead_letters_are_grouped_by_handler_and_error(store: Store, run: Run) -> None:
    for ago, error in ((60, "TimeoutError"), (7_200, "TimeoutError"), (200_000, "TimeoutError"), (60, "KeyError")):
        dead(store, ago=ago, error=error)
    rows = [line.split()[:5] for line in run("dead", "list").stdout.splitlines() if "receipts.save" in line]
    assert rows == [["receipts.save", "TimeoutError", "1", "2", "3"], ["receipts.save", "KeyError", "1", "1", "1"]]


def test_each_dead_handler_of_an_event_is_an_object(store: Store, run: Run) -> None:
    envelope = recent(60)
    failed = [
        attempt(envelope, "dead", handler=handler, error_type="KeyError", message="berth") for handler in ("a.b", "c.d")
    ]
    write(store, envelope, attempts=failed, endings=[ending(envelope, "dead")])
    found = objects(run("dead", "list", "--json"))
    assert {(one["event_id"], one["message_id"], one["handler"], one["error"]) for one in found} == {
        (envelope.id, envelope.message_id, handler, "KeyError: berth") for handler in ("a.b", "c.d")
    }
    assert all(one["dead_at"].endswith("+00:00") for one in found)


def test_dead_letters_can_be_narrowed_and_are_shown_one_by_one(store: Store, run: Run) -> None:
    wanted, _ = dead(store, ago=60, error="KeyError"), dead(store, ago=90_000)
    for condition in (("--error", "KeyError"), ("--since", "1h"), ("--each", "--limit", "1")):
        assert wanted.id in run("dead", "list", *condition).stdout
    assert "1 shown; --limit shows more" in run("dead", "list", "--each", "--limit", "1").stdout
    assert objects(run("dead", "list", "--handler", "other.handler", "--json")) == []


def test_dead_letters_are_read_in_rq_without_a_record(redis_sync: redis.Redis, redis_url: str, run: Run) -> None:
    enqueue(redis_sync, envelope := make_envelope())
    burst(redis_url, dies)
    [found] = objects(run("dead", "list", "--json", store_url="off"))
    assert (found["event_id"], found["message_id"], found["error"]) == (
        envelope.id,
        envelope.message_id,
        "KeyError: 'berth'",
    )
    assert found["handler"].endswith("dies")
    assert "KeyError" in run("dead", "list", store_url="off").stdout


def test_dead_letters_that_only_rq_has_are_pointed_at(
    redis_sync: redis.Redis, redis_url: str, store: Store, run: Run
) -> None:
    enqueue(redis_sync, make_envelope())
    burst(redis_url, dies, store_url="off")
    result = run("dead", "list")
    assert "RQ holds 1 dead letters that the record does not have: add --queue" in result.stderr
    assert len(objects(run("dead", "list", "--queue", "--json"))) == 1


def test_dead_letters_are_listed_before_they_are_recorded(
    redis_sync: redis.Redis, redis_url: str, store: Store, run: Run
) -> None:
    enqueue(redis_sync, envelope := make_envelope())
    burst(redis_url, dies)
    [found] = objects(run("dead", "list", "--json"))
    assert (found["event_id"], found["message_id"]) == (envelope.id, envelope.message_id)
    assert found["error"] == "KeyError: 'berth'"
    [row] = [line for line in run("dead", "list").stdout.splitlines() if "dies" in line]
    assert row.split()[1:5] == ["KeyError", "1", "1", "1"]


def test_a_dead_letter_is_shown_with_its_traceback(redis_sync: redis.Redis, redis_url: str, run: Run) -> None:
    enqueue(redis_sync, envelope := make_envelope())
    burst(redis_url, dies)
    shown = run("dead", "show", envelope.id, store_url="off").stdout
    assert "Traceback (most recent call last)" in shown
    assert NUMBER not in shown
    [found] = objects(run("dead", "show", envelope.id, "--json", store_url="off"))
    assert found["handlers"][0]["error"] == "KeyError: 'berth'"
    assert found["expires_at"] is not None


def test_a_dead_letter_that_rq_has_let_go_of_stays_in_the_record(store: Store, run: Run) -> None:
    envelope = dead(store, ago=900_000)
    shown = run("dead", "show", envelope.id).stdout
    assert "TimeoutError: no answer" in shown
    assert "the record keeps it" in shown


def test_what_is_not_dead_is_a_sentence_and_exit_code_1(store: Store, run: Run) -> None:
    write(store, envelope := recent(5))
    result = run("dead", "show", envelope.id)
    assert result.exit_code == 1
    assert f"ackfirst message {envelope.id}" in result.output
    assert run("dead", "list").stdout == "There are no dead letters.\n"


def test_figures_of_the_record_and_the_queue_together(store: Store, run: Run, redis_sync: redis.Redis) -> None:
    envelopes = [recent(ago) for ago in (60, 50, 40)]
    failed = attempt(envelopes[2], "dead", error_type="KeyError", message="berth")
    write(
        store,
        *envelopes,
        attempts=[*map(attempt, envelopes[:2]), failed],
        endings=[*map(ending, envelopes[:2]), ending(envelopes[2], "dead")],
        requests=[Request(at=time.time() - 30, kind="refused", verdict="forged", reason="alg", count=4)],
    )
    store.note_gap(Gap(time.time() - 3_000, time.time() - 2_000, 17, "high water"))
    enqueue(redis_sync, make_envelope())
    [found] = objects(run("stats", "--json", "--since", "1h"))
    assert found["totals"]["family"] == {"inbound-message": 3}
    assert found["totals"]["outcome"] == {"processed": 2, "dead": 1}
    assert found["totals"]["verdict"] == {"forged": 4}
    assert found["handlers"][0]["handler"] == "receipts.save"
    assert (found["handlers"][0]["runs"], found["handlers"][0]["failures"]) == (3, 1)
    assert [(gap["events"], gap["reason"]) for gap in found["gaps"]] == [(17, "high water")]
    assert found["lanes"][0]["waiting"] == 1
    for columns in ("80", "120"):
        shown = run("stats", "--since", "1h", columns=columns).stdout
        assert "17 events of" in shown
        assert "receipts.save" in shown
        assert "█" in shown


def test_figures_of_an_empty_record_are_figures_too(store: Store, run: Run) -> None:
    [found] = objects(run("stats", "--json"))
    assert found["totals"] == {}
    assert found["provider_lag_seconds"] == {"p50": None, "p90": None, "p99": None}
    assert "nothing" in run("stats").stdout


def test_purge_deletes_what_is_old_and_leaves_a_note(store: Store, run: Run) -> None:
    old, new = recent(10 * 86_400), recent(60)
    write(store, old, new, endings=[ending(old)])
    kept = run("purge", "--older-than", "9d")
    assert kept.exit_code == 1
    assert "Delete 1 event received" in kept.output
    [found] = objects(run("purge", "--older-than", "9d", "--yes", "--no-pauses", "--json"))
    assert found["purged"] == 1
    assert [one["event_id"] for one in objects(run("events", "--json"))] == [new.id]
    [act] = store.audit_rows()
    assert (act.act, act.detail) == ("events-purged", "1 event")
    assert "@" in act.who


def test_purge_does_not_reach_into_the_future(store: Store, run: Run) -> None:
    assert run("purge", "--older-than", "2999-01-01", "--yes").exit_code == 2
    assert run("purge", "--yes").exit_code == 2
