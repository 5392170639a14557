"""What the pages show of RQ's state, and that looking at it changes nothing."""

import json
import pickle
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import rq_dashboard
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from ackfirst.ops.rq_dashboard.reading import LISTED_QUEUES
from tests.support.factories import make_envelope
from tests.support.jobs import enqueue
from tests.support.processes import ROOT
from tests.support.web import (
    ENVELOPE,
    LANE,
    RqBrowser,
    answers,
    contents,
    failed_job,
    lane,
    leaves_a_file,
    run_all,
)

SHELL = ROOT / "ops" / "rq_dashboard" / "templates" / "rq_dashboard" / "base.html"
SCRIPT = ROOT / "ops" / "rq_dashboard" / "static" / "ackfirst.js"

# A value that answers every property and call with itself, so that a template needs no data made for it.
RENDER = """
const _ = require(process.argv[2]);
const evil = "<img src=x onerror=alert(1)>";
const html = evil.replace(/</g, "&lt;");
const any = new Proxy(function () {}, {
    get: (_target, name) => ({[Symbol.toPrimitive]: () => evil, length: 1, html: () => html})[name] || any,
    apply: () => any,
});
global.$ = () => any;
global.url_for_single_job_view = global.toRelative = () => evil;
JSON.stringify = () => evil;
%(settings)s
for (const text of %(templates)s) {
    console.log(_.template(text)({d: any, url: evil, number: evil}));
}
"""


def jobs(browser: RqBrowser, registry: str, *, size: int = 8, order: str = "asc", page: int = 1) -> list[str]:
    shown = browser.json(f"jobs/{LANE}/{registry}/{size}/{order}/{page}.json")
    return [job["id"] for job in shown["jobs"]]


def test_the_queues_are_listed_with_their_numbers(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    lane(redis_sync).enqueue(answers, ENVELOPE)
    (queue,) = RqBrowser(redis_sync).json("queues.json")["queues"]
    assert (queue["name"], queue["count"], queue["failed_job_registry_count"]) == (LANE, 1, 1)


def test_the_queues_tab_leads_to_the_queues(redis_sync: Redis) -> None:
    answer = RqBrowser(redis_sync).get("/0/view/queues", follow_redirects=True)
    assert answer.status_code == 200
    assert "<h1>Queues</h1>" in answer.text


def test_a_failed_job_shows_why(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    job = RqBrowser(redis_sync).json("job/m-failed.json")
    assert job["status"] == "failed"
    assert job["description"] == "inbound-message m-failed"
    assert "ValueError: no berth in" in job["exc_info"]


def test_a_finished_job_shows_its_result(redis_sync: Redis) -> None:
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-done", meta={"attempt": 1}, result_ttl=60)
    run_all(redis_sync)
    browser = RqBrowser(redis_sync)
    assert jobs(browser, "finished") == ["m-done"]
    job = browser.json("job/m-done.json")
    assert job["result"]["length"] == len(ENVELOPE)
    assert json.loads(job["metadata"]) == {"attempt": 1}


def test_a_job_that_waits_for_another_is_shown_with_it(redis_sync: Redis) -> None:
    first = lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-first")
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-second", depends_on=first)
    job = RqBrowser(redis_sync).json("job/m-second.json")
    assert (job["depends_on"], job["depends_on_status"]) == (["m-first"], ["active"])


def test_a_worker_that_runs_a_json_job_is_listed(redis_sync: Redis) -> None:
    seen: list[Any] = []

    class Watched(SimpleWorker):
        def perform_job(self, job: Job, queue: Queue, *args: Any, **kwargs: Any) -> bool:
            seen.extend(RqBrowser(redis_sync).json("workers.json")["workers"])
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
    assert len(RqBrowser(redis_sync).json("workers.json")["workers"]) == 1
    assert redis_sync.connection_pool.connection_kwargs["socket_timeout"] == 10


@pytest.mark.parametrize("registry", ["queued", "failed"])
@pytest.mark.parametrize("order", ["asc", "dsc"])
def test_every_job_is_on_exactly_one_page_in_order(redis_sync: Redis, registry: str, order: str) -> None:
    ids = [f"m-{number:02}" for number in range(11)]
    for place, job_id in enumerate(ids):
        lane(redis_sync).enqueue(answers, ENVELOPE, job_id=job_id)
        redis_sync.zadd(f"rq:failed:{LANE}", {job_id: place})
    browser = RqBrowser(redis_sync)
    pages = [jobs(browser, registry, size=4, order=order, page=page) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [4, 4, 3, 0]
    assert [job_id for page in pages for job_id in page] == (ids if order == "asc" else ids[::-1])


def test_the_jobs_tab_begins_with_a_lane(redis_sync: Redis) -> None:
    for name in ("default", "ackfirst-test"):
        lane(redis_sync, name).enqueue(answers, ENVELOPE)
    assert "Queued jobs of ackfirst-test" in RqBrowser(redis_sync).get("/0/view/jobs").text


@pytest.mark.parametrize("path", ["/0/view/job/m-none", "/0/data/job/m-none.json"])
def test_an_unknown_job_is_not_found(redis_sync: Redis, path: str) -> None:
    answer = RqBrowser(redis_sync).get(path)
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
    assert RqBrowser(redis_sync).get(path).status_code == 404


@pytest.mark.parametrize("field", ["created_at", "status", "retries_left"])
def test_a_malformed_job_is_refused_and_does_not_hide_the_others(redis_sync: Redis, field: str) -> None:
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-bad")
    lane(redis_sync).enqueue(answers, ENVELOPE, job_id="m-good")
    redis_sync.hset("rq:job:m-bad", field, "nonsense")
    browser = RqBrowser(redis_sync)
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
    browser = RqBrowser(redis_sync)
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
    browser = RqBrowser(redis_sync)
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
    browser = RqBrowser(redis_sync)
    registries = ["queued", "failed", "started", "finished", "scheduled", "deferred", "canceled"]
    lists = [f"/0/data/jobs/{LANE}/{name}/8/dsc/1.json" for name in registries]
    pages = ["/", "/0/view/jobs", "/0/view/workers", "/0/view/job/m-failed"]
    for path in [*pages, *lists, "/0/data/queues.json", "/0/data/workers.json", "/0/data/job/m-failed.json"]:
        assert browser.get(path).status_code == 200, path
    assert contents(redis_sync) == before


def test_the_name_of_a_queue_in_a_link_cannot_become_a_script(redis_sync: Redis) -> None:
    page = RqBrowser(redis_sync).get("/0/view/jobs/x');alert(1);('</queued/8/asc/1").text
    assert "alert(1)" in page
    assert "');alert(1)" not in page


def test_the_shell_of_the_pages_has_all_that_upstreams_has() -> None:
    """``base.html`` is ours in place of upstream's: a library or a block that is new there would be missing here."""
    part = re.compile(r"js/[\w.-]+\.js|css/[\w.-]+\.css|{% block \w+ %}|id=\"[\w-]+\"|rq_dashboard/\w+\.html")
    upstream = Path(rq_dashboard.__file__).parent / "templates" / "rq_dashboard" / "base.html"
    ours = SHELL.read_text()
    libraries = ours.replace("filename='js/' ~ file", "").replace('"jquery', '"js/jquery')
    found = set(part.findall(libraries)) | {f"js/{name}" for name in re.findall(r"[\w.-]+\.js", ours)}
    assert set(part.findall(upstream.read_text())) <= found


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js to run Underscore")
@pytest.mark.parametrize("page", ["queues", "workers", "jobs", "job"])
def test_nothing_of_a_job_is_inserted_as_html(tmp_path: Path, page: str) -> None:
    """Upstream's templates, compiled by its Underscore with our settings, over data that is nothing but script."""
    upstream = Path(rq_dashboard.__file__).parent
    settings = re.search(r"^_\.templateSettings = {.*?^};", SCRIPT.read_text(), re.DOTALL | re.MULTILINE)
    assert settings is not None
    markup = (upstream / "templates" / "rq_dashboard" / f"{page}.html").read_text()
    templates = re.findall(r'<script name="[\w-]+" type="text/template">(.*?)</script>', markup, re.DOTALL)
    program = tmp_path / "render.js"
    program.write_text(RENDER % {"settings": settings[0], "templates": json.dumps(templates)})
    library = upstream / "static" / "js" / "underscore-umd-min.js"
    shown = subprocess.run(["node", program, library], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "&lt;img src=x" in shown
    assert "<img" not in shown


def test_a_configured_name_is_shown_beside_the_lane(redis_sync: Redis) -> None:
    failed_job(redis_sync)
    redis_sync.sadd("rq:workers", "rq:worker:w")
    redis_sync.hset("rq:worker:w", mapping={"queues": LANE, "state": "idle"})
    browser = RqBrowser(redis_sync, lane_names={LANE.removeprefix("ackfirst-"): "Staging <1>"})
    shown = f"{LANE} (Staging <1>)"
    (queue,) = browser.json("queues.json")["queues"]
    assert queue["name"] == shown
    assert LANE in queue["failed_url"]
    assert "Staging" not in queue["failed_url"]
    assert browser.json("workers.json")["workers"][0]["queues"] == [shown]
    assert browser.json("job/m-failed.json")["origin"] == shown
    assert f"Failed jobs of {LANE} (Staging &lt;1&gt;)" in browser.get(f"/0/view/jobs/{LANE}/failed/8/asc/1").text
    assert jobs(browser, "failed") == ["m-failed"]


def test_of_ten_thousand_queues_the_fullest_are_listed(redis_sync: Redis) -> None:
    enqueue(redis_sync, *(make_envelope(lane=f"lane-{number}") for number in range(10_000)))
    enqueue(redis_sync, *(make_envelope(lane="deep") for _ in range(5)))
    queues = RqBrowser(redis_sync).json("queues.json")["queues"]
    assert len(queues) == LISTED_QUEUES
    assert [row["count"] for row in queues if row["name"] == "ackfirst-deep"] == [5]
