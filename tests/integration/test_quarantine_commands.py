"""``ackfirst quarantine`` against a real Redis: what it prints, what it writes, how it refuses."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from ackfirst.ops import cli
from ackfirst.shared.queue import keys
from tests.support.factories import API_KEY, APPLICATION, LANE, SECRET
from tests.support.quarantined import message, quarantine_now, sms
from tests.support.redis_process import RedisProcess

WRONG = {"secret": "an-old-secret-nobody-remembers-now"}
Run = Callable[..., Result]


@pytest.fixture
def run(redis_url: str) -> Run:
    """Call the command with the right secret unless ``secret`` is another."""

    def invoke(*args: str, secret: str = SECRET, answer: str = "", url: str = redis_url) -> Result:
        env = {
            "ACKFIRST_REDIS_URL": url,
            "ACKFIRST_API_KEY": API_KEY,
            "ACKFIRST_SIGNATURE_SECRET": secret,
            "COLUMNS": "160",
        }
        return CliRunner().invoke(cli.main, ["quarantine", *args], env=env, input=answer)

    return invoke


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def depth(client: redis.Redis) -> int:
    return int(client.xlen(keys.QUARANTINE))


def test_the_list_is_bounded_and_ends_with_the_newest(redis_server: RedisProcess, run: Run) -> None:
    quarantine_now(redis_server, *map(message, range(5)))
    rows = objects(run("list", "--limit", "3", "--json"))
    assert [row["received_at"][17:19] for row in rows] == ["30", "31", "32"]
    assert {(row["account"], row["verdict"], row["family"]) for row in rows} == {
        (API_KEY, "suspect", "inbound-message")
    }
    assert "3 shown of 5 in quarantine" in run("list", "--limit", "3").output


def test_the_list_can_be_narrowed(redis_server: RedisProcess, run: Run) -> None:
    others = [message(1, account="ffffffff"), message(2, verdict="unreadable", account="ffffffff"), sms(3)]
    quarantine_now(redis_server, message(0), *others)
    assert len(objects(run("list", "--account", "ffffffff", "--json"))) == 2
    assert len(objects(run("list", "--account", "ffffffff", "--verdict", "unreadable", "--json"))) == 1
    assert len(objects(run("list", "--since", "2026-03-04T09:15:30Z", "--json"))) == 2
    assert objects(run("list", "--since", "1s", "--json")) == []
    assert "2h or 7d" in run("list", "--since", "yesterday").output


def test_an_empty_quarantine_says_so(run: Run) -> None:
    assert run("list").output == "0 shown of 0 in quarantine, 0 bytes\n"
    assert objects(run("recheck", "--json")) == []


def test_show_masks_personal_data_and_verifies_again(redis_server: RedisProcess, run: Run) -> None:
    quarantine_now(redis_server, message(query="token=tide-table-7731"))
    [row] = objects(run("list", "--json"))
    masked, personal = run("show", row["id"]), run("show", row["id"], "--personal")
    assert '"verdict": "verified"' in masked.output
    assert "447700900417" not in masked.output
    assert "447700900417" in personal.output
    assert "tide-table-7731" not in personal.output
    [found] = objects(run("show", row["id"], "--json"))
    assert found["authorization"]["application_id"] == APPLICATION


def test_a_record_that_is_not_there_is_a_failure(run: Run) -> None:
    for command in ("show", "drop"):
        result = run(command, "1-1")
        assert result.exit_code == 1
        assert "no record '1-1' is in quarantine" in result.stderr


def test_recheck_queues_what_verifies_and_says_why_the_rest_stays(
    redis_server: RedisProcess, redis_sync: redis.Redis, run: Run
) -> None:
    quarantine_now(redis_server, message(0), message(0), message(1), message(2, claims=WRONG), sms(3))
    found = objects(run("recheck", "--json"))
    assert [(one["outcome"], one["reason"]) for one in found if one["outcome"] == "doubtful"] == [
        ("doubtful", "signature-mismatch"),
        ("doubtful", "no-sig"),
    ]
    assert sorted(one["outcome"] for one in found) == ["doubtful", "doubtful", "duplicate", "queued", "queued"]
    waiting = [name.decode() for name in redis_sync.lrange(keys.queue(LANE), 0, -1)]
    assert waiting == [one["event_id"] for one in found if one["outcome"] == "queued"]
    assert depth(redis_sync) == 2


def test_a_dry_run_says_the_same_and_writes_nothing(
    redis_server: RedisProcess, redis_sync: redis.Redis, run: Run
) -> None:
    quarantine_now(redis_server, message(0), message(0), message(1), message(2, claims=WRONG))
    before = set(redis_sync.keys())
    rehearsed = objects(run("recheck", "--dry-run", "--json"))
    assert set(redis_sync.keys()) == before
    assert depth(redis_sync) == 4
    key = "outcome"
    assert sorted(one[key] for one in rehearsed) == sorted(one[key] for one in objects(run("recheck", "--json")))
    quarantine_now(redis_server, message(1))
    assert [one[key] for one in objects(run("recheck", "--dry-run", "--json"))] == ["doubtful", "duplicate"]
    assert "nothing was written" in run("recheck", "--dry-run").output


def test_recheck_of_one_account_leaves_the_others_alone(
    redis_server: RedisProcess, redis_sync: redis.Redis, run: Run
) -> None:
    quarantine_now(redis_server, message(0), message(1, account="ffffffff"))
    assert [one["account"] for one in objects(run("recheck", "--account", API_KEY, "--json"))] == [API_KEY]
    assert depth(redis_sync) == 1


def test_a_redis_that_is_full_ends_the_recheck_with_a_failure_and_loses_nothing(
    own_redis: RedisProcess, run: Run
) -> None:
    quarantine_now(own_redis, *map(message, range(3)))
    with own_redis.client() as client:
        client.config_set("maxmemory", "1")
        failed = run("recheck", url=own_redis.url)
        assert failed.exit_code == 1
        assert "Redis refused the write" in failed.stderr or "did not take the script" in failed.stderr
        assert depth(client) == 3
        client.config_set("maxmemory", "0")
        assert len(objects(run("recheck", "--json", url=own_redis.url))) == 3
        assert depth(client) == 0


def test_drop_asks_first(redis_server: RedisProcess, redis_sync: redis.Redis, run: Run) -> None:
    quarantine_now(redis_server, *map(message, range(3)))
    assert run("drop", "--all", answer="n\n").exit_code == 1
    assert depth(redis_sync) == 3
    result = run("drop", "--verdict", "suspect", answer="y\n")
    assert result.stdout.startswith("3 records dropped")
    assert "Drop 3 records for good" in result.stderr
    assert depth(redis_sync) == 0
    assert not redis_sync.exists(keys.QUARANTINE_BYTES)


def test_drop_takes_what_was_named(redis_server: RedisProcess, redis_sync: redis.Redis, run: Run) -> None:
    quarantine_now(redis_server, *map(message, range(3)))
    ids = [row["id"] for row in objects(run("list", "--json"))]
    [gone] = objects(run("drop", ids[1], "--yes", "--json"))
    assert gone["dropped"] == 1
    assert [row["id"] for row in objects(run("list", "--json"))] == [ids[0], ids[2]]


@pytest.mark.parametrize("args", [[], ["1-1", "--all"], ["--all", "--account", "x"]])
def test_drop_takes_one_way_to_choose_records(run: Run, args: list[str]) -> None:
    assert run("drop", *args).exit_code == 2


def test_a_redis_that_is_not_there_is_a_matter_of_configuration(run: Run) -> None:
    result = run("list", url="unix:///nowhere/at/all")
    assert result.exit_code == 2
    assert "cannot reach Redis" in result.stderr
