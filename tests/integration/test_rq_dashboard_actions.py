"""The dashboard's buttons."""

import re

import pytest
from redis import Redis
from rq.job import Job
from rq.utils import as_text
from structlog.testing import capture_logs

from ackfirst.ops.rq_dashboard.actions import CHUNK
from tests.support.web import ENVELOPE, LANE, RqBrowser, answers, contents, failed_job, fails, lane, run_all

QUEUE = f"rq:queue:{LANE}"


def waiting(connection: Redis) -> list[str]:
    return [as_text(job_id) for job_id in connection.lrange(QUEUE, 0, -1)]


def test_a_requeued_job_runs_again_with_what_it_was_given(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    before = redis_sync.hget("rq:job:m-failed", "data")
    answer = RqBrowser(redis_sync).post("/job/m-failed/requeue")
    assert (answer.status_code, answer.json) == (200, {"status": "OK"})
    assert waiting(redis_sync) == ["m-failed"]
    assert redis_sync.zcard(f"rq:failed:{LANE}") == 0
    job = Job.fetch("m-failed", connection=redis_sync, serializer="json")
    assert job.args == [ENVELOPE]
    assert job.func is fails
    run_all(redis_sync)
    assert redis_sync.zcard(f"rq:failed:{LANE}") == 1
    assert redis_sync.hget("rq:job:m-failed", "data") == before


def test_a_job_that_has_not_failed_cannot_be_requeued(redis_sync: Redis) -> None:
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-waits")
    before = contents(redis_sync)
    answer = RqBrowser(redis_sync).post("/job/m-waits/requeue")
    assert answer.status_code == 409
    assert "this one is queued" in answer.json["message"]
    assert contents(redis_sync) == before


@pytest.mark.parametrize("action", ["requeue", "delete"])
@pytest.mark.parametrize("job_id", ["m-none", "no.such", "a:b"])
def test_an_unknown_job_is_not_found(redis_sync: Redis, action: str, job_id: str) -> None:
    assert RqBrowser(redis_sync).post(f"/job/{job_id}/{action}").status_code in (404, 409)
    assert contents(redis_sync) == {}


def test_requeue_all_passes_over_what_cannot_be_requeued(redis_sync: Redis) -> None:
    for job_id in ("m-1", "m-2", "m-3"):
        failed_job(redis_sync, job_id)
    redis_sync.delete("rq:job:m-2")
    redis_sync.zadd(f"rq:failed:{LANE}", {"m.bad": 1})
    answer = RqBrowser(redis_sync).post(f"/requeue/{LANE}")
    assert answer.json == {"status": "OK", "count": 2, "skipped": 2}
    assert sorted(waiting(redis_sync)) == ["m-1", "m-3"]


def test_a_deleted_job_leaves_nothing_behind(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    assert RqBrowser(redis_sync).post("/job/m-failed/delete").status_code == 200
    assert not redis_sync.exists("rq:job:m-failed", "rq:results:m-failed", f"rq:failed:{LANE}")


def test_a_running_job_cannot_be_deleted(redis_sync: Redis) -> None:
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-runs")
    redis_sync.hset("rq:job:m-runs", "status", "started")
    before = contents(redis_sync)
    browser = RqBrowser(redis_sync)
    assert browser.post("/job/m-runs/delete").status_code == 409
    assert browser.post(f"/queue/{LANE}/started/empty").status_code == 409
    assert contents(redis_sync) == before


def test_a_queue_of_several_chunks_is_emptied(redis_sync: Redis) -> None:
    count = 2 * CHUNK + 1
    data = [lane(redis_sync).prepare_data(answers, (ENVELOPE,)) for _ in range(count)]
    lane(redis_sync).enqueue_many(data)
    lane(redis_sync, "ackfirst-other").enqueue(answers, ENVELOPE, job_id="m-other")
    answer = RqBrowser(redis_sync).post(f"/queue/{LANE}/queued/empty")
    assert answer.json == {"status": "OK", "count": count}
    assert list(redis_sync.scan_iter("rq:job:*")) == [b"rq:job:m-other"]


def test_the_list_of_failed_jobs_is_emptied_of_everything(redis_sync: Redis) -> None:
    for job_id in ("m-1", "m-2", "m-3"):
        failed_job(redis_sync, job_id)
    redis_sync.delete("rq:job:m-2")
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-waits")
    assert RqBrowser(redis_sync).post(f"/queue/{LANE}/failed/empty").status_code == 200
    assert redis_sync.zcard(f"rq:failed:{LANE}") == 0
    assert list(redis_sync.scan_iter("rq:job:*")) == [b"rq:job:m-waits"]


@pytest.mark.parametrize("registry", ["finished", "scheduled", "deferred", "canceled"])
def test_every_other_list_is_emptied_too(redis_sync: Redis, registry: str) -> None:
    key = f"rq:{registry}:{LANE}"
    redis_sync.zadd(key, {"m-gone": 1})
    assert RqBrowser(redis_sync).post(f"/queue/{LANE}/{registry}/empty").status_code == 200
    assert redis_sync.zcard(key) == 0


def test_compacting_strikes_only_ids_without_a_job(redis_sync: Redis) -> None:
    for number in range(CHUNK + 5):
        lane(redis_sync).enqueue(answers, ENVELOPE, job_id=f"m-{number}")
    kept = waiting(redis_sync)
    redis_sync.lpush(QUEUE, "m-gone-first")
    redis_sync.rpush(QUEUE, "m-gone-last")
    answer = RqBrowser(redis_sync).post(f"/queue/{LANE}/compact")
    assert answer.json == {"status": "OK", "count": 2}
    assert waiting(redis_sync) == kept


def test_an_unknown_list_cannot_be_emptied(redis_sync: Redis) -> None:
    assert RqBrowser(redis_sync).post(f"/queue/{LANE}/unheard-of/empty").status_code == 404


@pytest.mark.parametrize("path", [f"/queue/{LANE}/queued/empty", f"/queue/{LANE}/failed/empty", "/job/m-failed/delete"])
def test_deleting_is_refused_unless_it_was_asked_for(redis_sync: Redis, path: str) -> None:
    failed_job(redis_sync)
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-waits")
    before = contents(redis_sync)
    answer = RqBrowser(redis_sync, allow_delete=False).post(path)
    assert answer.status_code == 403
    assert "--allow-delete" in answer.json["message"]
    assert contents(redis_sync) == before


@pytest.mark.parametrize("path", [f"/0/view/jobs/{LANE}/queued/8/asc/1", "/0/view/job/m-failed"])
def test_deleting_is_offered_only_where_it_was_asked_for(redis_sync: Redis, path: str) -> None:
    failed_job(redis_sync)
    button = re.compile(r'(id|data-role)="(empty|delete-job)-btn"')
    assert not button.search(RqBrowser(redis_sync, allow_delete=False).get(path).text)
    assert button.search(RqBrowser(redis_sync).get(path).text)


def test_what_is_deleted_is_on_record(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    for number in range(CHUNK + 1):
        lane(redis_sync).enqueue(answers, ENVELOPE, job_id=f"m-{number}")
    with capture_logs() as lines:
        RqBrowser(redis_sync).post("/job/m-failed/delete")
        RqBrowser(redis_sync).post(f"/queue/{LANE}/queued/empty")
    deleted = [line for line in lines if line["event"] == "web.deleted"]
    assert [len(line["job_ids"]) for line in deleted] == [1, CHUNK, 1]
    assert {job_id for line in deleted for job_id in line["job_ids"]} >= {"m-failed", "m-0", f"m-{CHUNK}"}
    assert all(line["user"] == "ackfirst" and line["remote"] and line["queue"] == LANE for line in deleted)


def test_what_is_requeued_is_on_record(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    with capture_logs() as lines:
        RqBrowser(redis_sync).post("/job/m-failed/requeue")
    (line,) = lines
    assert (line["event"], line["job_ids"], line["user"]) == ("web.requeued", ["m-failed"], "ackfirst")
