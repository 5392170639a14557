"""``ackfirst message`` against a real Redis and a real record: what is known of a message, wherever it is."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from ackfirst import Context, Event, on
from ackfirst.ops import cli
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.store import Store
from tests.support.factories import API_KEY, NOW, SECRET, inbound_message, make_envelope
from tests.support.jobs import burst, enqueue
from tests.support.quarantined import message as quarantined_message
from tests.support.quarantined import quarantine_now
from tests.support.recorded import attempt, ending, new_store, write
from tests.support.redis_process import RedisProcess

MESSAGE = "6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913"
NUMBER = "447700900417"
Run = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def run(redis_url: str, tmp_path: Path) -> Run:
    def invoke(*args: str, store_url: str = "", url: str = redis_url, columns: str = "160") -> Result:
        env = {
            "ACKFIRST_REDIS_URL": url,
            "ACKFIRST_DATA_DIR": str(tmp_path),
            "ACKFIRST_STORE_URL": store_url,
            "ACKFIRST_API_KEY": API_KEY,
            "ACKFIRST_SIGNATURE_SECRET": SECRET,
            "COLUMNS": columns,
        }
        return CliRunner().invoke(cli.main, ["message", *args], env=env)

    return invoke


def steps(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def kinds(result: Result) -> list[str]:
    return [step["kind"] for step in steps(result)]


def real_envelope(**fields: Any) -> Envelope:
    """An event whose id is that which ingest gives it."""
    payload = inbound_message(**fields)
    return make_envelope(id=event_id(Family.INBOUND_MESSAGE, API_KEY, payload, b""), payload=payload)


@on("inbound-message")
def save(event: Event, context: Context) -> str:
    return f"stored {event.message_id}"


@on("inbound-message", retries=3)
def always_fails(event: Event, context: Context) -> None:
    raise TimeoutError(f"no answer about {event.sender}")


@on("inbound-message", retries=0)
def dies(event: Event, context: Context) -> None:
    raise KeyError("berth")


def test_a_recorded_message_is_told_from_arrival_to_end(store: Store, run: Run) -> None:
    envelope = make_envelope()
    write(store, envelope, attempts=[attempt(envelope, returned="stored 17")], endings=[ending(envelope)])
    found = steps(run(MESSAGE, "--json"))
    assert [step["kind"] for step in found] == ["received", "attempt", "ended"]
    assert found[0]["at"] == "2026-03-04T09:15:28.000+00:00"
    assert found[0]["lag"] == 1.0
    assert found[0]["sender"] == "447•••••417"
    assert found[1]["handler"] == "receipts.save"
    assert (found[1]["attempt"], found[1]["seconds"], found[1]["ending"]) == (1, 0.25, "done")
    assert {step["event_id"] for step in found} == {envelope.id}


@pytest.mark.parametrize("key", [MESSAGE, "order-17", "the event's id"])
def test_a_message_is_found_by_each_of_its_names(store: Store, run: Run, key: str) -> None:
    envelope = make_envelope(payload=inbound_message(client_ref="order-17"))
    write(store, envelope)
    assert kinds(run(envelope.id if "event" in key else key, "--json")) == ["received"]


def test_an_event_that_was_queued_a_moment_ago_is_known_without_any_record(redis_sync: redis.Redis, run: Run) -> None:
    envelope = real_envelope()
    enqueue(redis_sync, envelope)
    for key in (MESSAGE, envelope.id):
        result = run(key, "--json", store_url="off")
        [step] = steps(result)
        assert (step["kind"], step["state"], step["source"]) == ("received", "waiting", "queue")
        assert "the record is off" in result.stderr
    assert f"waits in lane {envelope.lane}" in run(MESSAGE, store_url="off").stdout


def test_an_event_that_the_record_does_not_have_yet_is_shown_beside_those_that_it_has(
    redis_sync: redis.Redis, store: Store, run: Run
) -> None:
    old = make_envelope(family="message-status", id="s-" + "1" * 32, payload={**inbound_message(), "status": "read"})
    write(store, old, endings=[ending(old)])
    enqueue(redis_sync, new := real_envelope())
    found = steps(run(MESSAGE, "--json"))
    assert {step["event_id"]: step["source"] for step in found} == {old.id: "record", new.id: "queue"}


def test_a_retry_says_what_failed_and_when_it_is_due(redis_sync: redis.Redis, redis_url: str, run: Run) -> None:
    enqueue(redis_sync, envelope := real_envelope())
    burst(redis_url, always_fails, retry_schedule="1h")
    [received, retry] = steps(run(MESSAGE, "--json", store_url="off"))
    assert received["state"] == "retrying"
    assert (retry["kind"], retry["attempt"]) == ("retry", 2)
    assert retry["handler"].endswith("always_fails")
    assert "waits for the retry of" in run(envelope.id, store_url="off").stdout


def test_a_dead_letter_names_its_handler_and_error_without_a_record(
    redis_sync: redis.Redis, redis_url: str, run: Run
) -> None:
    enqueue(redis_sync, real_envelope())
    burst(redis_url, dies)
    [received, dead] = steps(run(MESSAGE, "--json", store_url="off"))
    assert (received["state"], dead["kind"], dead["error"]) == ("dead", "dead", "KeyError: 'berth'")
    assert dead["handler"].endswith("dies")


def test_the_state_of_the_queue_wins_over_a_record_that_is_behind(
    redis_sync: redis.Redis, redis_url: str, store: Store, run: Run
) -> None:
    enqueue(redis_sync, envelope := real_envelope())
    write(store, envelope)
    burst(redis_url, save)
    found = steps(run(MESSAGE, "--json"))
    assert found[0]["state"] == "processed"
    assert found[-1]["kind"] == "ended"


def test_attempts_are_shown_before_they_are_recorded(
    redis_sync: redis.Redis, redis_url: str, store: Store, run: Run
) -> None:
    enqueue(redis_sync, envelope := real_envelope(client_ref="order-17"))
    burst(redis_url, save)
    for key in (MESSAGE, envelope.id):
        received, attempted, ended = steps(run(key, "--json"))
        assert (attempted["ending"], attempted["returned"]) == ("done", f"stored {MESSAGE}")
        assert attempted["seconds"] >= 0
        assert (received["source"], ended["ending"]) == ("queue", "processed")


def test_a_message_that_was_processed_long_ago_is_remembered_without_a_record(
    redis_sync: redis.Redis, redis_url: str, run: Run
) -> None:
    enqueue(redis_sync, envelope := real_envelope())
    redis_sync.delete(f"rq:job:{envelope.id}")
    result = run(MESSAGE, store_url="off")
    assert result.exit_code == 1
    assert "came and ended within the last four days" in result.output


def test_a_callback_in_quarantine_belongs_to_the_message(redis_server: RedisProcess, store: Store, run: Run) -> None:
    quarantine_now(redis_server, quarantined_message(7), quarantined_message(8))
    [step] = steps(run("aaaaaaaa-0000-4000-8000-000000000007", "--json"))
    assert (step["kind"], step["verdict"], step["event_id"]) == ("quarantined", "suspect", None)
    for part in ("aaaaaaaa-0000", "text", "e", ""):
        assert run(part).exit_code == 1, "an id is a whole value, not a part of one"


def test_an_unknown_message_is_a_sentence_and_exit_code_1(store: Store, run: Run) -> None:
    result = run("no-such-message")
    assert result.exit_code == 1
    assert "neither in the record, nor in the queue" in result.output


def test_without_redis_the_record_still_answers(store: Store, run: Run, tmp_path: Path) -> None:
    write(store, envelope := make_envelope())
    result = run(envelope.id, "--json", url=f"unix://{tmp_path}/nothing.sock")
    assert kinds(result) == ["received"]
    assert "Redis does not answer" in result.stderr


def test_raw_gives_the_exact_bytes_of_one_event(store: Store, run: Run) -> None:
    body = b'{"message_uuid": "x",\r\n "text": "caf\xe9 \x00"}'
    write(store, envelope := make_envelope(body=body))
    assert run(envelope.id, "--raw").stdout_bytes == body
    write(store, make_envelope())
    refused = run(MESSAGE, "--raw")
    assert refused.exit_code == 2
    assert envelope.id in refused.output


def test_numbers_and_texts_are_shown_only_if_asked_for(store: Store, run: Run) -> None:
    write(store, make_envelope())
    for columns in ("80", "120", "200"):
        masked, shown = run(MESSAGE, columns=columns).stdout, run(MESSAGE, "--personal", columns=columns).stdout
        assert NUMBER not in masked
        assert "Moor at berth 7?" not in masked
        assert "Moor at berth 7?" in shown
    assert NUMBER not in run(MESSAGE, "--json").stdout
    assert NUMBER in run(MESSAGE, "--json", "--personal").stdout


def test_the_table_fits_80_columns(store: Store, run: Run) -> None:
    envelope = make_envelope(received_at=NOW)
    failed = attempt(envelope, "dead", error_type="TimeoutError", message="no answer from the harbour " * 4)
    write(store, envelope, attempts=[failed], endings=[ending(envelope, "dead")])
    lines = run(MESSAGE, columns="80").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(envelope.id in line for line in lines)
    assert time.time() > NOW
