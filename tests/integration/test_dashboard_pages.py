"""What the pages show of RQ's state, and that looking at it changes nothing."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from ackfirst.ops.dashboard.pages import EDITS, EditedTemplates
from ackfirst.ops.dashboard.reading import LISTED_QUEUES
from tests.support.dashboard import (
    ENVELOPE,
    LANE,
    Browser,
    answers,
    contents,
    failed_job,
    lane,
    leaves_a_file,
    run_all,
)
from tests.support.factories import make_envelope
from tests.support.jobs import enqueue


def jobs(browser: Browser, registry: str, *, size: int = 8, order: str = "asc", page: int = 1) -> list[str]:
    shown = browser.json(f"jobs/{LANE}/{registry}/{size}/{order}/{page}.json")
    return [job["id"] for job in shown["jobs"]]


def test_the_queues_are_listed_with_their_numbers(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    lane(redis_sync).enqueue(answers, ENVELOPE)
    (queue,) = Browser(redis_sync).json("queues.json")["queues"]
    assert (queue["name"], queue["count"], queue["failed_job_registry_count"]) == (LANE, 1, 1)


def test_the_queues_tab_leads_to_the_queues(redis_sync: Redis) -> None:
    answer = Browser(redis_sync).get("/0/view/queues", follow_redirects=True)
    assert answer.status_code == 200
    assert "<h1>Queues</h1>" in answer.text


def test_a_failed_job_shows_why(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    job = Browser(redis_sync).json("job/m-failed.json")
    assert job["status"] == "failed"
    assert job["description"] == "inbound-message m-failed"
    assert "ValueError: no berth in" in job["exc_info"]


def test_a_finished_job_shows_its_result(redis_sync: Redis) -> None:
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-done", meta={"attempt": 1}, result_ttl=60)
    run_all(redis_sync)
    browser = Browser(redis_sync)
    assert jobs(browser, "finished") == ["m-done"]
    job = browser.json("job/m-done.json")
    assert job["result"]["length"] == len(ENVELOPE)
    assert json.loads(job["metadata"]) == {"attempt": 1}


def test_a_job_that_waits_for_another_is_shown_with_it(redis_sync: Redis) -> None:
    first = lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-first")
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-second", depends_on=first)
    job = Browser(redis_sync).json("job/m-second.json")
    assert (job["depends_on"], job["depends_on_status"]) == (["m-first"], ["active"])


def test_a_worker_that_runs_a_json_job_is_listed(redis_sync: Redis) -> None:
    seen: list[Any] = []

    class Watched(SimpleWorker):
        def perform_job(self, job: Job, queue: Queue, *args: Any, **kwargs: Any) -> bool:
            seen.extend(Browser(redis_sync).json("workers.json")["workers"])
            return super().perform_job(job, queue, *args, **kwargs)

    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-running", description="inbound-message m-running")
    Watched([lane(redis_sync)], connection=redis_sync, serializer="json").work(burst=True, logging_level="CRITICAL")
    (worker,) = seen
    assert worker["state"] == "busy"
    assert worker["queues"] == [LANE]
    assert worker["current_job"]["job_id"] == "m-running"
    assert worker["current_job"]["call_string"] == "inbound-message m-running"


def test_the_timeouts_of_the_shared_client_stay_when_workers_are_listed(redis_sync: Redis) -> None:
    redis_sync.sadd("rq:workers", "rq:worker:w")
    redis_sync.hset("rq:worker:w", mapping={"queues": LANE, "state": "idle"})
    assert len(Browser(redis_sync).json("workers.json")["workers"]) == 1
    assert redis_sync.connection_pool.connection_kwargs["socket_timeout"] == 10


@pytest.mark.parametrize("registry", ["queued", "failed"])
@pytest.mark.parametrize("order", ["asc", "dsc"])
def test_every_job_is_on_exactly_one_page_in_order(redis_sync: Redis, registry: str, order: str) -> None:
    ids = [f"m-{number:02}" for number in range(11)]
    for place, job_id in enumerate(ids):
        lane(redis_sync).enqueue(answers, ENVELOPE, job_id=job_id)
        redis_sync.zadd(f"rq:failed:{LANE}", {job_id: place})
    browser = Browser(redis_sync)
    pages = [jobs(browser, registry, size=4, order=order, page=page) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [4, 4, 3, 0]
    assert [job_id for page in pages for job_id in page] == (ids if order == "asc" else ids[::-1])


def test_the_jobs_tab_begins_with_a_lane(redis_sync: Redis) -> None:
    for name in ("default", "ackfirst-test"):
        lane(redis_sync, name).enqueue(answers, ENVELOPE)
    assert "jobs of queue <strong>ackfirst-test</strong>" in Browser(redis_sync).get("/0/view/jobs").text


@pytest.mark.parametrize("path", ["/0/view/job/m-none", "/0/data/job/m-none.json"])
def test_an_unknown_job_is_not_found(redis_sync: Redis, path: str) -> None:
    answer = Browser(redis_sync).get(path)
    assert answer.status_code == 404
    assert "no such job" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/1/view/queues",
        "/0/data/jobs/q/unheard-of/8/asc/1.json",
        "/0/data/jobs/q/failed/8/sideways/1.json",
        "/0/data/jobs/q/failed/0/asc/1.json",
        "/0/data/jobs/q/failed/201/asc/1.json",
        "/0/data/jobs/q/failed/-1/asc/1.json",
        "/0/data/jobs/q/failed/٣/asc/1.json",
        "/0/data/jobs/q/failed/8/asc/0.json",
        "/0/data/jobs/q/failed/8/asc/x.json",
        "/0/view/jobs/q/failed/0/asc/1",
    ],
)
def test_an_address_that_means_nothing_is_not_found(redis_sync: Redis, path: str) -> None:
    assert Browser(redis_sync).get(path).status_code == 404


@pytest.mark.parametrize("field", ["created_at", "status", "retries_left"])
def test_a_malformed_job_is_refused_and_does_not_hide_the_others(redis_sync: Redis, field: str) -> None:
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-bad")
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-good")
    redis_sync.hset("rq:job:m-bad", field, "nonsense")
    browser = Browser(redis_sync)
    assert jobs(browser, "queued") == ["m-good"]
    assert browser.get("/0/data/job/m-bad.json").status_code == 409


def test_a_job_whose_arguments_are_no_json_is_listed_and_never_unpickled(redis_sync: Redis, tmp_path: Path) -> None:
    trap = tmp_path / "unpickled"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (leaves_a_file, (str(trap),))

    bomb = pickle.dumps(Trap())
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-pickled", description="")
    redis_sync.hset("rq:job:m-pickled", mapping={"data": bomb, "meta": bomb, "description": ""})
    redis_sync.xadd("rq:results:m-pickled", {"type": 1, "return_value": "gASVAA=="})
    redis_sync.zadd(f"rq:failed:{LANE}", {"m-pickled": 1})
    browser = Browser(redis_sync)
    assert jobs(browser, "failed") == ["m-pickled"]
    assert browser.json("job/m-pickled.json")["description"] == "not a JSON job"
    assert browser.get("/0/view/job/m-pickled").status_code == 200
    assert browser.post("/job/m-pickled/requeue").status_code == 200
    assert not trap.exists()
    pickle.loads(bomb)
    assert trap.exists()


@pytest.mark.parametrize("data", ["", "{", "null", "[1, 2, 3, 4]", '["f", null, 3, {}]', "[" * 100_000])
def test_a_job_whose_call_is_malformed_is_still_shown(redis_sync: Redis, data: str) -> None:
    failed_job(redis_sync)
    redis_sync.hset("rq:job:m-failed", mapping={"data": data, "description": ""})
    browser = Browser(redis_sync)
    assert jobs(browser, "failed") == ["m-failed"]
    assert browser.json("job/m-failed.json")["status"] == "failed"


def test_looking_at_it_changes_nothing(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-waits")
    redis_sync.rpush(f"rq:queue:{LANE}", "m-gone")
    redis_sync.zadd(f"rq:failed:{LANE}", {"m-gone": 1})
    redis_sync.zadd(f"rq:wip:{LANE}", {"m-waits:e1": 1})
    redis_sync.sadd("rq:workers", "rq:worker:gone", "rq:worker:w")
    redis_sync.hset("rq:worker:w", mapping={"queues": LANE, "state": "busy"})
    redis_sync.sadd("rq:worker:w:executions", "m-waits:expired")
    before = contents(redis_sync)
    browser = Browser(redis_sync)
    registries = ["queued", "failed", "started", "finished", "scheduled", "deferred", "canceled"]
    lists = [f"/0/data/jobs/{LANE}/{name}/8/dsc/1.json" for name in registries]
    pages = ["/", "/0/view/jobs", "/0/view/workers", "/0/view/job/m-failed"]
    for path in [*pages, *lists, "/0/data/queues.json", "/0/data/workers.json", "/0/data/job/m-failed.json"]:
        assert browser.get(path).status_code == 200, path
    assert contents(redis_sync) == before


def test_the_name_of_a_queue_in_a_link_cannot_become_a_script(redis_sync: Redis) -> None:
    page = Browser(redis_sync).get("/0/view/jobs/x');alert(1);('</queued/8/asc/1").text
    assert "alert(1)" in page
    assert "');alert(1)" not in page


@pytest.mark.parametrize("template", sorted(EDITS))
def test_every_correction_fits_and_leaves_a_valid_template(template: str) -> None:
    environment = Environment(loader=EditedTemplates(), autoescape=True)
    assert environment.get_template(template) is not None


@pytest.mark.parametrize("template", sorted(name for name in EDITS if name.endswith(".html")))
def test_nothing_of_a_job_is_inserted_as_html(template: str) -> None:
    source, _, _ = EditedTemplates().get_source(Environment(autoescape=True), template)
    assert "<%= d." not in source
    assert "<%= JSON" not in source


def test_of_ten_thousand_queues_the_fullest_are_listed(redis_sync: Redis) -> None:
    enqueue(redis_sync, *(make_envelope(lane=f"lane-{number}") for number in range(10_000)))
    enqueue(redis_sync, *(make_envelope(lane="deep") for _ in range(5)))
    queues = Browser(redis_sync).json("queues.json")["queues"]
    assert len(queues) == LISTED_QUEUES
    assert {"name": "ackfirst-deep", "count": 5}.items() <= next(
        row.items() for row in queues if row["name"] == "ackfirst-deep"
    )
