"""``ackfirst redact``: a person's data goes from every place, and each place that was not reached is named."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from ackfirst import Context, Event, on
from ackfirst.ops import cli
from ackfirst.ops.record.redacted import keyed_hash
from ackfirst.shared.queue import keys
from ackfirst.shared.spool.frame import Frame
from ackfirst.shared.store import Store
from tests.support.factories import API_KEY, SECRET, inbound_message, make_envelope
from tests.support.jobs import burst, enqueue
from tests.support.nexmo_apis import nexmo
from tests.support.processes import clean_environment
from tests.support.quarantined import message as quarantined_message
from tests.support.quarantined import quarantine_now
from tests.support.recorded import attempt, ending, new_store, write
from tests.support.redis_process import RedisProcess
from tests.support.spooled import all_frames, left_behind, segment_log

NUMBER = "447700900417"
OTHER = "447700900999"
KEY = "the-key-of-every-machine"
Run = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def run(redis_url: str, tmp_path: Path) -> Run:
    def invoke(*args: str, **settings: str) -> Result:
        env = {
            "ACKFIRST_REDIS_URL": redis_url,
            "ACKFIRST_DATA_DIR": str(tmp_path),
            "ACKFIRST_API_KEY": API_KEY,
            "ACKFIRST_SIGNATURE_SECRET": SECRET,
            "ACKFIRST_REDACTION_KEY": KEY,
            "COLUMNS": "160",
            **{f"ACKFIRST_{name.upper()}": value for name, value in settings.items()},
        }
        return CliRunner().invoke(cli.main, args, env=env)

    return invoke


def places(result: Result, *, code: int = 0) -> dict[str, dict[str, Any]]:
    assert result.exit_code == code, result.output
    return {row["place"]: row for row in map(json.loads, result.stdout.splitlines())}


def redacted(result: Result, *, code: int = 0) -> dict[str, int]:
    return {name: row["redacted"] for name, row in places(result, code=code).items()}


def everything_in(client: redis.Redis) -> str:
    """All that Redis holds, as text; compressed values as they read."""
    found = []
    for name in client.scan_iter():
        kind = client.type(name).decode()
        match kind:
            case "hash":
                found.append(repr(client.hgetall(name)))
            case "stream":
                found.append(repr(client.xrange(name)))
    return "\n".join(found)


@on("inbound-message", retries=0)
def dies(event: Event, context: Context) -> None:
    raise ValueError(f"{event.sender} wrote {event.text}")


@on("inbound-message")
def look(event: Event, context: Context) -> str:
    return f"{event.sender} {event.text}"


def test_the_record_keeps_status_times_and_a_hash(store: Store, run: Run) -> None:
    mine, other = make_envelope(), make_envelope(payload=inbound_message(**{"from": OTHER}))
    write(store, mine, other, attempts=[attempt(mine, returned="Anna")], endings=[ending(mine)])
    assert redacted(run("redact", "+44 7700 900417", "--yes", "--json"))["record"] == 1
    [row] = store.message(mine.id)
    assert (row.state, row.received_at, row.body) == ("processed", mine.received_at, b"")
    assert row.sender == keyed_hash(NUMBER, KEY.encode())
    assert store.attempts([mine.id])[0].returned is None
    assert store.message(other.id)[0].body == other.body
    assert "redacted" in run("message", mine.id).stdout


def test_jobs_that_wait_are_processed_without_the_data(redis_sync: redis.Redis, redis_url: str, run: Run) -> None:
    mine, other = make_envelope(), make_envelope(payload=inbound_message(**{"from": OTHER}))
    enqueue(redis_sync, mine, other)
    done = places(run("redact", NUMBER, "--yes", "--json", store_url="off"), code=1)
    assert (done["queue"]["redacted"], done["record"]["unreached"]) == (
        1,
        "the record is off: ACKFIRST_STORE_URL is off",
    )
    assert NUMBER not in everything_in(redis_sync)
    seen: list[Event] = []

    @on("inbound-message")
    def note(event: Event, context: Context) -> None:
        seen.append(event)

    burst(redis_url, note)
    assert {event.sender for event in seen} == {OTHER, keyed_hash(NUMBER, KEY.encode())}


def test_dead_letters_lose_data_and_tracebacks_and_stay_dead_letters(
    redis_sync: redis.Redis, redis_url: str, run: Run
) -> None:
    enqueue(redis_sync, mine := make_envelope())
    burst(redis_url, dies)
    assert redacted(run("redact", mine.id, "--yes", "--json", store_url="off"), code=1)["queue"] == 1
    [letter] = map(json.loads, run("dead", "list", "--json", store_url="off").stdout.splitlines())
    assert letter["handler"].endswith("dies")
    assert letter["error"] == "ValueError: (redacted)"
    shown = run("dead", "show", mine.id, "--personal", "--json", store_url="off").stdout
    assert "Moor" not in shown
    assert NUMBER not in shown
    assert keyed_hash(NUMBER, KEY.encode()) in shown


def test_a_job_that_a_worker_runs_is_waited_for(redis_sync: redis.Redis, run: Run) -> None:
    enqueue(redis_sync, mine := make_envelope())
    redis_sync.hset(keys.job(mine.id), "status", "started")
    program = (
        "import redis, sys, time\n"
        "time.sleep(1)\n"
        f"redis.Redis(unix_socket_path={redis_sync.connection_pool.connection_kwargs['path']!r})"
        f".hset({keys.job(mine.id)!r}, 'status', 'queued')"
    )
    with subprocess.Popen([sys.executable, "-c", program], env=clean_environment()) as worker:
        assert redacted(run("redact", NUMBER, "--yes", "--json", store_url="off"), code=1)["queue"] == 1
        assert worker.wait(10) == 0


def test_callbacks_in_quarantine_are_deleted(redis_server: RedisProcess, redis_sync: redis.Redis, run: Run) -> None:
    other = quarantined_message(2, body=json.dumps(inbound_message(**{"from": OTHER})).encode())
    quarantine_now(redis_server, quarantined_message(1), other)
    assert redacted(run("redact", NUMBER, "--yes", "--json", store_url="off"), code=1)["quarantine"] == 1
    assert redis_sync.xlen(keys.QUARANTINE) == 1
    assert NUMBER not in everything_in(redis_sync)


def test_the_spool_of_a_stopped_ingest_is_rewritten_record_by_record(run: Run, tmp_path: Path) -> None:
    envelopes = [make_envelope(payload=inbound_message(**{"from": sender})) for sender in (OTHER, NUMBER, OTHER)]
    path = left_behind(tmp_path, [Frame(5.0 + n, one.encode().encode()) for n, one in enumerate(envelopes)])
    assert redacted(run("redact", NUMBER, "--yes", "--json", store_url="off"), code=1)["spool spool-0"] == 1
    frames = all_frames(path.parent)
    assert NUMBER.encode() not in path.read_bytes()
    assert [frame.spooled_at for frame in frames] == [5.0, 6.0, 7.0]
    assert [frames[0].text, frames[2].text] == [envelopes[0].encode().encode(), envelopes[2].encode().encode()]
    assert keyed_hash(NUMBER, KEY.encode()).encode() in frames[1].text
    assert redacted(run("redact", NUMBER, "--yes", "--json", store_url="off"), code=1)["spool spool-0"] == 0


def test_the_spool_of_a_running_ingest_is_named_and_left_alone(run: Run, tmp_path: Path) -> None:
    path = left_behind(tmp_path, [Frame(5.0, make_envelope().encode().encode())])
    before = path.read_bytes()
    with segment_log(path.parent):
        found = places(run("redact", NUMBER, "--yes", "--json"), code=1)["spool spool-0"]
    assert "1 event left there" in found["unreached"]
    assert path.read_bytes() == before


def test_a_dry_run_counts_and_changes_nothing(redis_sync: redis.Redis, store: Store, run: Run, tmp_path: Path) -> None:
    write(store, one := make_envelope())
    enqueue(redis_sync, make_envelope())
    path = left_behind(tmp_path, [Frame(5.0, make_envelope().encode().encode())])
    before = everything_in(redis_sync), path.read_bytes()
    counts = redacted(run("redact", NUMBER, "--dry-run", "--json"))
    assert (counts["record"], counts["queue"], counts["spool spool-0"]) == (1, 1, 1)
    assert (everything_in(redis_sync), path.read_bytes()) == before
    assert store.message(one.id)[0].body == one.body
    assert store.audit_rows() == []


def test_without_redis_the_record_is_redacted_and_the_rest_is_named(store: Store, run: Run, tmp_path: Path) -> None:
    write(store, make_envelope())
    found = places(run("redact", NUMBER, "--yes", "--json", redis_url=f"unix://{tmp_path}/none.sock"), code=1)
    assert "Redis does not answer" in found["queue"]["unreached"]
    assert "Redis does not answer" in found["record"]["unreached"]
    assert found["record"]["redacted"] == 1


def test_the_audit_tells_of_it_without_the_number(store: Store, run: Run) -> None:
    write(store, make_envelope())
    run("redact", NUMBER, "--yes")
    [act] = store.audit_rows()
    assert (act.act, act.subject) == ("person-redacted", f"number {keyed_hash(NUMBER, KEY.encode())}")
    assert "record 1" in act.detail
    assert NUMBER not in act.detail


def test_another_key_is_refused_because_hashes_would_differ(store: Store, run: Run) -> None:
    write(store, make_envelope())
    assert run("redact", NUMBER, "--yes").exit_code == 0
    refused = run("redact", NUMBER, "--yes", redaction_key="another")
    assert refused.exit_code == 2
    assert "ACKFIRST_REDACTION_KEY_FILE" in refused.output
    assert run("redact", NUMBER, "--yes", "--new-key", redaction_key="another").exit_code == 0


def test_a_key_is_made_once_for_its_owner_only(store: Store, run: Run, tmp_path: Path) -> None:
    assert run("redact", NUMBER, "--yes", redaction_key="").exit_code == 0
    file = tmp_path / "redaction-key"
    made = file.read_text()
    assert len(made.strip()) == 64
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("redact", NUMBER, "--yes", redaction_key="").exit_code == 0
    assert file.read_text() == made


def test_it_asks_before_it_begins(store: Store, run: Run) -> None:
    write(store, one := make_envelope())
    result = run("redact", NUMBER)
    assert result.exit_code == 1
    assert "447•••••417" in result.output
    assert store.message(one.id)[0].body == one.body


async def test_nexmo_is_made_to_forget_too(tmp_path: Path, redis_url: str) -> None:
    old, new = time.time() - 7_200, time.time()
    async with nexmo(tmp_path) as (apis, operator):
        envelopes = []
        for number, at in enumerate((old, old, new)):
            uuid = f"6f1d2b0e-3c55-4d8a-9b6e-00000000000{number}"
            payload = inbound_message(message_uuid=uuid)
            envelopes.append(make_envelope(account="abcd1234", message_id=uuid, payload=payload))
            if number != 1:  # Nexmo does not know the second one any more
                apis.account.messages.append(
                    {
                        "message_id": uuid,
                        "product": "MESSAGES",
                        "direction": "inbound",
                        "from": NUMBER,
                        "to": "12015550142",
                        "date_received": time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(at)),
                    }
                )
        with new_store(tmp_path / "data") as store:
            write(store, *envelopes)
        done = await operator.run("redact", NUMBER, "--at-nexmo", "--yes", ACKFIRST_REDIS_URL=redis_url, COLUMNS="200")
        assert done.code == 1
        assert "Nexmo abcd1234" in done.output
        assert "You must wait 60 minutes" in done.output
        assert [one["from"] for one in apis.account.messages] == ["REDACTED", NUMBER]
        # The number is a hash by now, and its messages are found all the same.
        apis.account.messages[1]["date_received"] = apis.account.messages[0]["date_received"]
        again = await operator.run("redact", NUMBER, "--at-nexmo", "--yes", ACKFIRST_REDIS_URL=redis_url)
        assert again.code == 0, again.output
        assert apis.account.messages[1]["from"] == "REDACTED"
