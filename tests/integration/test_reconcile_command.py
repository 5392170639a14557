"""``ackfirst reconcile``: what Nexmo lists and we never saw, and what we saw and Nexmo does not list."""

import asyncio
import csv
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from aiohttp import web
from click.testing import CliRunner, Result

from ackfirst.ops import cli
from ackfirst.ops.nexmo_api import Credentials, NexmoApiError
from ackfirst.ops.nexmo_api.records import RecordsApi
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.store import Gap, Store
from tests.support.factories import API_KEY, SECRET, inbound_message, make_envelope
from tests.support.jobs import enqueue
from tests.support.nexmo_apis import nexmo
from tests.support.quarantined import message as quarantined_message
from tests.support.quarantined import quarantine_now
from tests.support.recorded import new_store, write
from tests.support.redis_process import RedisProcess

HOUR = 3_600
#: The middle of the span that tests compare.
THEN = time.time() - 12 * HOUR
Run = Callable[..., Result]


def uuid(number: int) -> str:
    return f"6f1d2b0e-3c55-4d8a-9b6e-{number:012d}"


def status_of(number: int, status: str, *, at: float = THEN, account: str = API_KEY) -> Envelope:
    payload = {**inbound_message(message_uuid=uuid(number)), "status": status}
    return make_envelope(
        id=event_id(Family.MESSAGE_STATUS, account, payload, b""),
        family="message-status",
        account=account,
        message_id=uuid(number),
        received_at=at,
        payload=payload,
    )


def record(number: int, status: str = "delivered", *, at: float = THEN, **fields: Any) -> dict[str, Any]:
    return {
        "account_id": API_KEY,
        "message_id": uuid(number),
        "client_ref": "",
        "direction": "outbound",
        "from": "ACME",
        "to": "447700900417",
        "date_received": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "status": status,
        "total_price": "0.0333",
        **fields,
    }


def report(folder: Path, *records: dict[str, Any], name: str = "report_MESSAGES_k7m2p9qa_20260304.csv") -> Path:
    path = folder / name
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(record(0)))
        writer.writeheader()
        writer.writerows(records)
    return path


def ends(number: int) -> list[dict[str, Any]]:
    """Two records that make a report reach from 20 hours ago to four hours ago."""
    return [record(number, at=THEN - 8 * HOUR), record(number + 1, at=THEN + 8 * HOUR)]


def ends_seen(number: int) -> list[Envelope]:
    return [
        status_of(number, "delivered", at=THEN - 8 * HOUR),
        status_of(number + 1, "delivered", at=THEN + 8 * HOUR),
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def run(redis_url: str, tmp_path: Path) -> Run:
    def invoke(*args: str, columns: str = "160") -> Result:
        env = {
            "ACKFIRST_REDIS_URL": redis_url,
            "ACKFIRST_DATA_DIR": str(tmp_path),
            "ACKFIRST_API_KEY": API_KEY,
            "ACKFIRST_SIGNATURE_SECRET": SECRET,
            "COLUMNS": columns,
        }
        return CliRunner().invoke(cli.main, ["reconcile", "--since", "24h", *args], env=env)

    return invoke


def differences(result: Result) -> dict[str, str]:
    """The message's number → how it differs; the exit code says whether any does."""
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == bool(rows), result.output
    return {int(row["message_id"][-12:]): row["kind"] for row in rows}


def test_both_sides_agree(store: Store, run: Run, tmp_path: Path) -> None:
    write(store, *ends_seen(90), status_of(1, "submitted"), status_of(1, "delivered"))
    result = run("--report", str(report(tmp_path, record(1), *ends(90))))
    assert result.exit_code == 0
    assert "3 records of Nexmo and 4 events compared: nothing differs" in result.output


def test_each_kind_of_difference_has_its_name(
    redis_sync: redis.Redis, redis_server: RedisProcess, store: Store, run: Run, tmp_path: Path
) -> None:
    write(store, *ends_seen(90), status_of(2, "submitted"), status_of(3, "delivered"))
    enqueue(redis_sync, status_of(4, "delivered"))
    body = json.dumps({**inbound_message(message_uuid=uuid(5)), "status": "delivered"}).encode()
    quarantine_now(redis_server, quarantined_message(5, body=body))
    path = report(tmp_path, *(record(number) for number in (1, 2, 4, 5)), *ends(90))
    assert differences(run("--report", str(path), "--json")) == {
        1: "missing",
        2: "behind",
        3: "unlisted",
        4: "unrecorded",
        5: "quarantined",
    }
    for columns in ("80", "120"):
        table = run("--report", str(path), columns=columns)
        assert table.exit_code == 1
        assert uuid(1) in table.stdout
        assert "1 missing" in table.stdout


def test_a_gap_of_the_record_is_named_beside_what_it_may_explain(store: Store, run: Run, tmp_path: Path) -> None:
    write(store, *ends_seen(90))
    store.note_gap(Gap(THEN - 60, THEN + 60, 5, "high water"))
    [row] = run("--report", str(report(tmp_path, record(1), *ends(90))), "--json").stdout.splitlines()
    assert json.loads(row)["reason"] == "the record has a gap at that time"


def test_events_near_the_ends_of_a_report_are_left_out_and_counted(store: Store, run: Run, tmp_path: Path) -> None:
    early = status_of(7, "delivered", at=THEN - 8 * HOUR + 60)
    write(store, *ends_seen(90), early)
    result = run("--report", str(report(tmp_path, *ends(90))))
    assert result.exit_code == 0
    assert "near the ends of the report left out" in result.output


def test_a_report_says_nothing_of_what_it_is_not_about(store: Store, run: Run, tmp_path: Path) -> None:
    inbound = make_envelope(message_id=uuid(8), payload=inbound_message(message_uuid=uuid(8)), received_at=THEN)
    write(store, *ends_seen(90), inbound)
    assert differences(run("--report", str(report(tmp_path, *ends(90))), "--json")) == {}


def test_a_file_that_is_no_report_is_one_sentence(store: Store, run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    result = run("--report", str(tmp_path / "notes.csv"))
    assert result.exit_code == 1
    assert "holds no message" in result.output


def test_without_an_account_secret_it_says_what_to_set(store: Store, run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "ACKFIRST_API_SECRET" in result.output


async def test_the_reports_api_is_read_day_by_day_and_page_by_page(tmp_path: Path, redis_url: str) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        apis.records.page = 3
        for number in range(10):
            at = time.time() - 40 * HOUR + number * HOUR
            apis.account.messages.append({**record(number, at=at, account_id="abcd1234"), "product": "MESSAGES"})
        # Sent before the span, with a callback within it: only asking by id can tell.
        apis.account.messages.append({**record(50, at=time.time() - 90 * HOUR), "product": "MESSAGES"})
        with new_store(tmp_path / "data") as store:
            seen = [status_of(number, "delivered", account="abcd1234") for number in (*range(9), 50, 60)]
            write(store, *seen)
        done = await operator.run("reconcile", "--since", "48h", "--json", ACKFIRST_REDIS_URL=redis_url)
        rows = [json.loads(line) for line in done.output.splitlines()]
        assert {(int(row["message_id"][-12:]), row["kind"]) for row in rows} == {(9, "missing"), (60, "unlisted")}
        assert done.code == 1


async def test_the_texts_of_messages_are_never_asked_for(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        queries = []

        async def listen(request: Any) -> None:
            queries.append(dict(request.query))

        apis.hooks.extend([listen] * 3)
        credentials = Credentials(api_key="abcd1234", api_secret="the-account-secret")
        until = datetime.now(UTC)
        async with RecordsApi(credentials, api_url=operator.url) as api:
            found = [one async for one in api.records("SMS", "inbound", until - timedelta(hours=49), until)]
        assert found == []
        assert [query["product"] for query in queries] == ["SMS"] * 3
        assert all("include_message" not in query for query in queries)


async def test_an_endless_report_ends(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):

        async def the_same_again(_: Any) -> web.Response:
            return web.json_response({"request_status": "TRUNCATED", "records": [], "cursor": "c", "iv": "i"})

        apis.hooks.extend([the_same_again] * 5)
        credentials = Credentials(api_key="abcd1234", api_secret="the-account-secret")
        async with RecordsApi(credentials, api_url=operator.url) as api:
            until = datetime.now(UTC)
            with pytest.raises(NexmoApiError, match="try a shorter span"):
                async with asyncio.timeout(30):
                    [one async for one in api.records("SMS", "inbound", until - timedelta(hours=1), until)]
