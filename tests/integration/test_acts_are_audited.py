"""Every command that changes something leaves a row in the record's audit: who, when and what."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from ackfirst.ops.cli import main
from ackfirst.ops.webhooks.borrowed import BorrowedWebhooks
from ackfirst.shared.queue import keys
from ackfirst.shared.settings import load_settings
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.shared.store import AuditRow, open_store
from ackfirst.workers.recovery.rejects import Rejects
from tests.integration.test_apps import account, quiet_application
from tests.integration.test_worker_ready_lanes import fill
from tests.support.factories import API_KEY, SECRET
from tests.support.quarantined import message, quarantine_now
from tests.support.redis_process import RedisProcess

Run = Callable[..., Result]


@pytest.fixture
def record_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'audited.db'}"
    open_store(url, migrate=True).close()
    return url


@pytest.fixture
def run(redis_url: str, record_url: str) -> Run:
    env = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_STORE_URL": record_url}
    env |= {"ACKFIRST_API_KEY": API_KEY, "ACKFIRST_SIGNATURE_SECRET": SECRET}
    return lambda *args: CliRunner().invoke(main, args, env=env)


def audited(url: str) -> list[tuple[str, str, str]]:
    with open_store(url) as store:
        rows: list[AuditRow] = store.audit_rows()
    assert all("@" in row.who and row.at > 0 for row in rows)
    return [(row.act, row.subject, row.detail) for row in rows]


def test_a_pause_and_a_resume(redis_sync: redis.Redis, run: Run, record_url: str) -> None:
    fill(redis_sync, "held")
    assert run("lanes", "pause", "held").exit_code == run("lanes", "resume", "held").exit_code == 0
    assert audited(record_url) == [("lane-resumed", "held", ""), ("lane-paused", "held", "")]


def test_a_recheck_and_a_drop_of_the_quarantine(redis_server: RedisProcess, run: Run, record_url: str) -> None:
    quarantine_now(redis_server, message(0), message(1), message(2, verdict="unreadable"))
    assert run("quarantine", "recheck", "--dry-run").exit_code == 0
    assert audited(record_url) == []
    assert run("quarantine", "recheck", "--verdict", "suspect").exit_code == 0
    assert run("quarantine", "drop", "--all", "--yes").exit_code == 0
    assert audited(record_url) == [
        ("quarantine-dropped", json.dumps({"all": True}), "1 record"),
        ("quarantine-rechecked", json.dumps({"verdict": "suspect"}), "2 records, 2 queued"),
    ]


def test_a_requeue_and_a_drop_of_rejects(redis_sync: redis.Redis, run: Run, record_url: str) -> None:
    for name in ("n1", "n2"):
        redis_sync.rpush(keys.queue("held"), name)
        assert Rejects(redis_sync, keep=60).put("held", "waiting", name, "as ordered")
    first, second = (entry_id.decode() for entry_id, _ in redis_sync.xrange(keys.REJECTS))
    assert run("rejects", "requeue", first).exit_code == 1, "its job's hash is gone"
    assert run("rejects", "drop", second, "--yes").exit_code == 0
    assert audited(record_url) == [
        ("rejects-dropped", json.dumps([second]), "1 record"),
        ("rejects-requeued", json.dumps([first]), "0 records"),
    ]
    assert run("rejects", "requeue", first, "9-9").exit_code == 1, "one that is not there ends the command"
    assert audited(record_url)[0] == ("rejects-requeued", json.dumps([first, "9-9"]), "0 records")
    assert run("rejects", "drop", "--all", "--yes").exit_code == 0
    assert audited(record_url)[0] == ("rejects-dropped", '"all"', "1 record")


async def test_what_is_changed_at_nexmo(
    redis_url: str, redis_sync: redis.Redis, record_url: str, tmp_path: Path
) -> None:
    async with account(tmp_path, redis_url) as (apis, operator, _):
        recorded = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_STORE_URL": record_url}
        id_ = quiet_application(apis, redis_sync)
        assert (await operator.run("webhooks", "set", id_, "--dry-run", **recorded)).code == 0
        assert (await operator.run("webhooks", "set", id_, **recorded)).code == 0
        [saved] = operator.backups()
        assert (await operator.run("webhooks", "restore", str(saved), **recorded)).code == 0
        assert (await operator.run("apps", "delete", id_, "--force", "--yes", **recorded)).code == 0
    acts = [(act, subject) for act, subject, _ in audited(record_url)]
    assert acts == [
        ("application-deleted", id_),
        ("webhooks-restored", f"application {id_}"),
        ("webhooks-set", f"application {id_}"),
    ]


async def test_what_dev_borrows_and_puts_back_at_nexmo(
    redis_url: str, redis_sync: redis.Redis, record_url: str, tmp_path: Path
) -> None:
    async with account(tmp_path, redis_url) as (apis, operator, _):
        id_ = quiet_application(apis, redis_sync)
        settings = load_settings({**operator.settings, "ACKFIRST_STORE_URL": record_url})
        borrowed = BorrowedWebhooks(settings, load_accounts(settings), say=lambda _: None)
        await borrowed.borrow([id_], "https://tunnel.example.com")
        assert await borrowed.put_back()
    acts = [(act, subject) for act, subject, _ in audited(record_url)]
    assert acts == [("webhooks-put-back", f"application {id_}"), ("webhooks-borrowed", f"application {id_}")]


def test_the_audit_can_be_listed_and_narrowed(redis_sync: redis.Redis, run: Run, record_url: str) -> None:
    assert "No such act" in run("audit").output
    fill(redis_sync, "held")
    for act in ("pause", "resume"):
        run("lanes", act, "held")
    run("quarantine", "drop", "--all", "--yes")
    listed = run("audit").output
    assert listed.index("quarantine-dropped") < listed.index("lane-resumed") < listed.index("lane-paused")
    [row] = map(json.loads, run("audit", "--act", "quarantine-dropped", "--json").output.splitlines())
    assert (row["subject"], row["detail"], "@" in row["who"]) == ({"all": True}, "0 records", True)
    assert run("audit", "--limit", "1", "--json").output.count("\n") == 1
    assert run("audit", "--since", "2100-01-01T00:00Z").output.startswith("No such act")


def test_an_act_is_carried_out_though_the_record_does_not_answer(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    fill(redis_sync, "held")
    env = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_STORE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = CliRunner().invoke(main, ["lanes", "pause", "held"], env=env)
    assert (done.exit_code, "The audit has no row of this" in done.stderr) == (0, True)
    assert redis_sync.hexists(keys.PAUSED, "held")


def test_an_installation_without_a_record_is_not_given_one(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    fill(redis_sync, "held")
    done = CliRunner().invoke(
        main, ["lanes", "pause", "held"], env={"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_DATA_DIR": str(tmp_path)}
    )
    assert (done.exit_code, done.stderr) == (0, "")
    assert not (tmp_path / "record.db").exists()
