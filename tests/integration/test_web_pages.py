"""What the operator's page shows and does, over a real Redis and a real record."""

import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ackfirst.ops import lanes
from ackfirst.ops.web.now import headline
from ackfirst.shared.queue import keys
from ackfirst.shared.store import Arrival, Attempt, Batch, Ending, open_store
from tests.support.factories import LANE, make_envelope
from tests.support.jobs import enqueue
from tests.support.redis_process import RedisProcess
from tests.support.web import VIEWER_LOGIN, Browser

HOSTILE = "<script>alert(1)</script>'\"&{{7*7}}"
NUMBER = "447700900417"


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/record.db"


def arrival(event_id: str, *, received_at: float, **overrides: Any) -> Arrival:
    given = {
        "account": "abcd1234",
        "application_id": "app-1",
        "lane": "abcd1234.app-1",
        "family": "message-status",
        "channel": "sms",
        "message_id": f"uuid-of-{event_id}",
        "client_ref": None,
        "status": "delivered",
        "sender": "AcmeInc",
        "recipient": NUMBER,
        "occurred_at": received_at - 2,
        "encoding": "json",
        "content_type": "application/json",
        "body": b'{"to": "447700900417"}',
        "query": "",
        "trace": None,
    }
    return Arrival(event_id=event_id, received_at=received_at, **{**given, **overrides})


def fill(url: str, *arrivals: Arrival, dead: dict[str, str] | None = None) -> None:
    """Record events; those in ``dead`` have failed for good with that message."""
    failed = dead or {}
    with open_store(url, migrate=True) as store:
        attempts = [
            Attempt(
                event_id=one.event_id,
                received_at=one.received_at,
                handler="app.book",
                number=3,
                worker="w-1",
                started=one.received_at + 1,
                seconds=0.25,
                ending="dead" if one.event_id in failed else "done",
                error_type="ConnectionError" if one.event_id in failed else None,
                message=failed.get(one.event_id),
            )
            for one in arrivals
        ]
        endings = [
            Ending(
                event_id=one.event_id,
                received_at=one.received_at,
                lane=one.lane,
                state="dead" if one.event_id in failed else "processed",
                at=one.received_at + 2,
                attempts=3,
            )
            for one in arrivals
        ]
        store.write(Batch(position="1-1", arrivals=arrivals, attempts=attempts, endings=endings))


def page_text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


# --- now


def test_without_ingest_it_says_that_nexmo_is_not_answered(redis_sync: redis.Redis) -> None:
    assert "No ingest is running" in Browser(redis_sync).get("/").text


def publish(client: redis.Redis, process: str = "host:1", **overrides: Any) -> None:
    figures = {
        "at": time.time(),
        "seconds": 60.0,
        "answers": {"verified": 600, "duplicate": 20},
        "refused": 1,
        "ack": [[0.0025, 600], [0.005, 20], [None, 0]],
        "lag": [[1.0, 500], [None, 0]],
        "steps": [20] * 30,
        "gauges": {"spool_records": 3, "spool_bytes": 900, "spool_oldest_seconds": 4.0},
        "findings": [],
        **overrides,
    }
    client.set(keys.ingest_figures(process), json.dumps(figures), ex=10)
    client.zadd(keys.INGEST_PROCESSES, {process: time.time()})


def test_the_figures_of_all_ingest_processes_are_added_up(redis_sync: redis.Redis) -> None:
    publish(redis_sync)
    publish(redis_sync, "host:2")
    text = page_text(Browser(redis_sync).get("/").text)
    assert "Callbacks a second 20" in text
    assert "1,240 callbacks answered in the last minute" in text
    assert re.search(r"Spool on disk 6 1\.8 KB, oldest 4 s", text)


def test_callbacks_that_were_not_taken_stand_on_top(redis_sync: redis.Redis) -> None:
    publish(redis_sync, answers={"verified": 5, "unavailable": 2})
    text = Browser(redis_sync).get("/").text
    assert "Nexmo is stalled on us" in text
    assert "2 callbacks of the last minute could not be made durable" in text


def test_what_needs_a_person_has_the_id_that_doctor_uses(redis_sync: redis.Redis) -> None:
    publish(
        redis_sync, findings=[{"id": "spool-unusable", "level": "error", "what": "ingest cannot write", "fix": "df"}]
    )
    redis_sync.xadd(keys.QUARANTINE, {"v": "1"})
    text = Browser(redis_sync).get("/").text
    assert text.index("workers-none") < text.index(">quarantine</a>"), "errors come first"
    assert "spool-unusable" in text


def test_the_first_page_without_a_record_shows_the_queue_and_says_what_is_missing(redis_sync: redis.Redis) -> None:
    text = page_text(Browser(redis_sync).get("/").text)
    assert "The record is off" in text
    assert "Waiting" in text


def test_a_headline_is_calm_when_nothing_is_wrong(redis_sync: redis.Redis) -> None:
    publish(redis_sync)
    redis_sync.sadd(keys.RQ_WORKERS, "rq:worker:a")
    redis_sync.hset("rq:worker:a", mapping={"queues": "x", keys.SERVES_ALL: "1"})
    browser = Browser(redis_sync)
    state = browser.client.application.extensions["ackfirst.live"].state()
    assert (headline(state).tone, headline(state).text) == ("good", "Nexmo is not waiting for us")


# --- messages


def test_an_id_leads_to_its_timeline(redis_sync: redis.Redis, store_url: str) -> None:
    fill(store_url, arrival("s-1", received_at=time.time() - 60))
    answer = Browser(redis_sync, store_url=store_url).get("/messages/?q=uuid-of-s-1", follow_redirects=True)
    text = page_text(answer.text)
    assert "Received message-status delivered, 2 s after Nexmo" in text
    assert "app.book #3 done in 250 ms" in text
    assert "Ended processed" in text
    assert "ackfirst message uuid-of-s-1" in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["s-2", "s-1"]),
        (NUMBER, ["s-1"]),
        ("+44 7700 900417", ["s-1"]),
        ("state:processed", ["s-2", "s-1"]),
        ("state:dead", []),
        ("status:rejected", ["s-2"]),
        ("app:app-1 to:447700900417", ["s-1"]),
        ("lane:other", []),
        ("since:30s", ["s-2"]),
        ("order-7", ["s-2"]),
    ],
)
def test_the_search_box_finds(redis_sync: redis.Redis, store_url: str, query: str, found: list[str]) -> None:
    now = time.time()
    second = arrival("s-2", received_at=now - 10, recipient="33612345678", status="rejected", client_ref="order-7")
    fill(store_url, arrival("s-1", received_at=now - 60), second)
    answer = Browser(redis_sync, store_url=store_url).get(
        "/messages/", query_string={"q": query}, follow_redirects=True
    )
    assert answer.status_code == 200
    assert list(dict.fromkeys(re.findall(r"uuid-of-(s-\d)", answer.text))) == found


def test_a_redacted_number_leaves_room_for_the_other_columns(redis_sync: redis.Redis, store_url: str) -> None:
    fill(store_url, arrival("s-1", received_at=time.time(), recipient="redacted:0123456789abcdef0123456789abcdef"))
    text = Browser(redis_sync, store_url=store_url).get("/messages/").text
    assert "redacted:012345…" in text
    assert "redacted:0123456789" not in text


def test_a_misspelt_condition_is_named(redis_sync: redis.Redis, store_url: str) -> None:
    fill(store_url)
    browser = Browser(redis_sync, store_url=store_url)
    assert "There is no stat: to search by" in browser.get("/messages/?q=stat:dead").text
    assert "A state is one of waiting" in browser.get("/messages/?q=state:broken").text


def test_pages_lead_back_and_forth_without_a_gap(redis_sync: redis.Redis, store_url: str) -> None:
    now = time.time()
    fill(store_url, *(arrival(f"s-{number:03}", received_at=now - number) for number in range(75)))
    browser = Browser(redis_sync, store_url=store_url)
    address, seen, addresses = "/messages/", [], []
    while address:
        text = browser.get(address).text
        addresses.append(address)
        seen.append(re.findall(r"id=uuid-of-(s-\d+)", text))
        older = re.search(r'rel="next" href="([^"]+)"', text)
        address = older[1].replace("&amp;", "&") if older else ""
    assert [number for some in seen for number in some] == [f"s-{number:03}" for number in range(75)]
    newer = re.search(r'rel="prev" href="([^"]+)"', browser.get(addresses[1]).text)
    assert newer is not None
    assert re.findall(r"id=uuid-of-(s-\d+)", browser.get(newer[1].replace("&amp;", "&")).text) == seen[0]


def test_personal_data_is_hidden_until_asked_and_each_look_is_recorded(redis_sync: redis.Redis, store_url: str) -> None:
    fill(store_url, arrival("s-1", received_at=time.time() - 60))
    browser = Browser(redis_sync, store_url=store_url)
    for path in ("/messages/", "/message?id=s-1"):
        assert NUMBER not in browser.get(path).text
    shown = browser.post("/message", data={"id": "s-1"})
    assert shown.status_code == 200
    assert NUMBER in shown.text
    with open_store(store_url) as store:
        (row,) = store.audit_rows()
    assert (row.who, row.act, row.subject) == ("ackfirst", "personal-shown", "message s-1")
    assert (
        Browser(redis_sync, store_url=store_url, login=VIEWER_LOGIN).post("/message", data={"id": "s-1"}).status_code
        == 403
    )


def test_a_look_that_cannot_be_recorded_is_refused(redis_sync: redis.Redis, tmp_path: Path, store_url: str) -> None:
    fill(store_url, arrival("s-1", received_at=time.time() - 60))
    browser = Browser(redis_sync, store_url=store_url)
    assert browser.get("/message?id=s-1").status_code == 200
    with closing(sqlite3.connect(tmp_path / "record.db")) as other:
        other.execute("DROP TABLE audit")
    refused = browser.post("/message", data={"id": "s-1"})
    assert refused.status_code >= 500
    assert NUMBER not in refused.text


def test_hostile_text_is_text_on_every_page(redis_sync: redis.Redis, store_url: str) -> None:
    hostile = arrival(
        "s-1",
        received_at=time.time() - 60,
        message_id=HOSTILE,
        client_ref=HOSTILE,
        status=HOSTILE,
        sender=HOSTILE,
        recipient=HOSTILE,
        lane=HOSTILE,
        body=HOSTILE.encode(),
        application_id=HOSTILE,
        content_type=HOSTILE,
    )
    fill(store_url, hostile, dead={"s-1": HOSTILE})
    redis_sync.sadd(keys.LANES, HOSTILE)
    redis_sync.rpush(keys.queue(HOSTILE), HOSTILE)
    redis_sync.hset(keys.LAST_CALLBACKS, f"{HOSTILE}/{HOSTILE}", "1")
    redis_sync.hset(keys.HANDLER_TIMES, mapping={f"{HOSTILE}:runs": 1, f"{HOSTILE}:seconds": 1})
    record = dict.fromkeys(("verdict", "reason", "account", "path", "user_agent", "body"), HOSTILE)
    redis_sync.xadd(keys.QUARANTINE, {"v": "1", "received_at": "5", **record})
    browser = Browser(redis_sync, store_url=store_url)
    (entry_id, _), *_ = redis_sync.xrange(keys.QUARANTINE)
    pages = ["/", "/messages/", "/message?id=s-1", "/dead/", "/dead/list", "/quarantine/", "/lanes/", "/handlers/"]
    pages += [f"/quarantine/{entry_id.decode()}", f"/quarantine/drop?id={entry_id.decode()}"]
    pages += [f"/messages/?q={HOSTILE}", f"/dead/list?handler={HOSTILE}&error={HOSTILE}"]
    texts = [browser.get(path, follow_redirects=True) for path in pages]
    texts.append(browser.post("/message", data={"id": "s-1"}))
    for path, answer in zip([*pages, "personal"], texts, strict=True):
        assert answer.status_code in (200, 404), path
        assert "<script>alert" not in answer.text, path
        assert "49" not in re.findall(r"&amp;(.{0,3})", answer.text), path


# --- dead letters


def test_dead_letters_are_grouped_by_cause_and_window(redis_sync: redis.Redis, store_url: str) -> None:
    now = time.time()
    old, new = arrival("s-1", received_at=now - 7200), arrival("s-2", received_at=now - 60)
    fill(store_url, old, new, dead={"s-1": "refused", "s-2": "refused again"})
    browser = Browser(redis_sync, store_url=store_url)
    text = page_text(browser.get("/dead/").text)
    assert re.search(r"ConnectionError in app\.book refused again 1 2 2", text)
    listed = browser.get("/dead/list?handler=app.book&error=ConnectionError&window=hour").text
    assert re.findall(r"uuid-of-(s-\d)", listed) == ["s-2"]
    assert "ackfirst dead list --each --handler app.book --error ConnectionError --since 1h" in page_text(listed)


def test_dead_letters_are_dropped_after_the_plan_and_only_those(redis_sync: redis.Redis, store_url: str) -> None:
    now = time.time()
    letters = [arrival(f"s-{number}", received_at=now - 60) for number in range(3)]
    fill(store_url, *letters, dead={"s-0": "refused", "s-1": "refused"})
    browser = Browser(redis_sync, store_url=store_url)
    plan = browser.get("/dead/drop?event=s-0&event=s-2").text
    assert "Drop 1 dead letter?" in plan
    selection = re.search(r'name="selection" value="([^"]+)"', plan)
    assert selection is not None
    before = redis_sync.xlen(keys.RECORD)
    encoded = selection[1].replace("&#34;", '"')
    answer = browser.post("/dead/drop", data={"selection": encoded, "reason": "known"}, follow_redirects=True)
    assert answer.status_code == 200
    assert redis_sync.xlen(keys.RECORD) >= before
    with open_store(store_url) as store:
        assert {row.act for row in store.audit_rows()} == {"dead-dropped"}
    assert browser.get("/dead/drop?event=s-2").status_code == 404
    assert browser.post("/dead/drop", data={"selection": '{"filter": {}}'}).status_code == 400


def test_a_replay_is_started_paused_and_stopped(redis_sync: redis.Redis, store_url: str) -> None:
    fill(store_url, arrival("s-1", received_at=time.time() - 60), dead={"s-1": "refused"})
    browser = Browser(redis_sync, store_url=store_url)
    plan = browser.get("/replays/new?dead=1&handler=app.book").text
    assert "Replay 1 event?" in plan
    selection = re.search(r'name="selection" value="([^"]+)"', plan)
    assert selection is not None
    encoded = selection[1].replace("&#34;", '"')
    started = browser.post("/replays/", data={"selection": encoded, "name": "crm was down", "rate": "5"})
    path = started.headers["Location"].partition("?")[0]
    assert "crm was down" in browser.get(path).text
    assert browser.post(path + "/pause", follow_redirects=True).status_code == 200
    assert browser.post(path + "/pause").status_code == 409, "it is paused"
    assert "stopped" in browser.post(path + "/stop", follow_redirects=True).text
    assert browser.post("/replays/", data={"selection": "nonsense"}).status_code == 400
    assert browser.get("/replays/new?dead=1&rate=none").status_code == 400
    assert browser.get("/replays/r-none").status_code == 404


# --- lanes


def test_a_lane_is_paused_and_resumed_by_a_button(redis_sync: redis.Redis) -> None:
    enqueue(redis_sync, make_envelope())
    browser = Browser(redis_sync)
    assert "idle" not in browser.get("/lanes/").text
    answer = browser.post(f"/lanes/{LANE}/pause", follow_redirects=True)
    assert "The lane is paused" in answer.text
    assert "by ackfirst" in answer.text
    (lane,) = redis_sync.hkeys(keys.PAUSED)
    assert lane.decode() == LANE
    assert "lane-paused" in browser.get("/").text
    assert "The lane is resumed" in browser.post(f"/lanes/{LANE}/resume", follow_redirects=True).text
    assert not redis_sync.exists(keys.PAUSED)
    assert browser.post("/lanes/typo/pause").status_code == 404


def test_an_application_shows_when_it_was_last_heard_of(redis_sync: redis.Redis) -> None:
    redis_sync.hset(keys.LAST_CALLBACKS, "abcd1234/app-1", str(time.time() - 3600))
    text = page_text(Browser(redis_sync).get("/lanes/").text)
    assert re.search(r"app-1 abcd1234 .* 1 h ", text)


# --- errors


def test_a_page_that_does_not_exist_says_so(redis_sync: redis.Redis) -> None:
    answer = Browser(redis_sync).get("/nothing")
    assert (answer.status_code, "There is no such page." in answer.text) == (404, True)


def test_redis_away_is_one_sentence_and_the_page_is_back_with_it(own_redis: RedisProcess) -> None:
    retry = Retry(NoBackoff(), 0)
    with redis.Redis(unix_socket_path=str(own_redis.socket), socket_timeout=0.5, retry=retry) as connection:
        browser = Browser(connection)
        assert browser.get("/lanes/").status_code == 200
        own_redis.kill()
        browser.client.application.extensions["ackfirst.live"].forget()
        for path in ("/", "/lanes/", "/quarantine/", "/handlers/"):
            answer = browser.get(path)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), path
            assert re.search(r"<p data-error>Redis does not answer", answer.text), path
        page = browser.get("/").text
        assert "Handlers wait: Redis is away" in page
        assert "How runs of events ended" in page
        assert "What waits is in Redis" in page
        assert "Nothing waits" not in page
        own_redis.start()
        assert browser.get("/lanes/").status_code == 200


def test_the_record_away_leaves_what_redis_knows(redis_sync: redis.Redis, tmp_path: Path) -> None:
    browser = Browser(redis_sync, store_url=f"sqlite:///{tmp_path}/none/record.db")
    assert browser.get("/").status_code == 200
    for path in ("/messages/",):
        answer = browser.get(path)
        assert answer.status_code == 503
        assert "data-error" in answer.text
    assert "What RQ still holds is shown instead" in browser.get("/dead/").text
    assert browser.get("/handlers/").status_code == 200


def test_each_list_names_the_command_that_prints_the_same(redis_sync: redis.Redis, store_url: str) -> None:
    fill(store_url)
    browser = Browser(redis_sync, store_url=store_url)
    for path, command in {
        "/": "ackfirst stats --since 1h",
        "/messages/?q=state:dead": "ackfirst events --state dead",
        "/messages/?q=447700900417": "ackfirst events --to 447700900417",
        "/dead/": "ackfirst dead list",
        "/quarantine/": "ackfirst quarantine list",
        "/lanes/": "ackfirst lanes",
        "/handlers/?range=day": "ackfirst stats --since 24h",
    }.items():
        assert command in page_text(browser.get(path).text), path


def test_a_pause_survives_as_a_note_of_who_and_when(redis_sync: redis.Redis) -> None:
    enqueue(redis_sync, make_envelope())
    Browser(redis_sync).post(f"/lanes/{LANE}/pause")
    assert not lanes.pause(redis_sync, LANE, who="other", now=time.time())
    assert redis_sync.hget(keys.PAUSED, LANE).decode().endswith(" ackfirst")  # type: ignore[union-attr]
