"""Redis goes away and comes back while the page is open."""

from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.redis_process import RedisProcess
from tests.support.web import ENVELOPE, LOGIN, RqBrowser, answers, lane


@pytest.fixture
def browser(own_redis: RedisProcess) -> Iterator[RqBrowser]:
    retry = Retry(NoBackoff(), 0)
    with redis.Redis(unix_socket_path=str(own_redis.socket), socket_timeout=0.5, retry=retry) as connection:
        lane(connection).enqueue(answers, ENVELOPE, job_id="m-1")
        yield RqBrowser(connection)


def assert_reports_outage(browser: RqBrowser) -> None:
    page = browser.get("/")
    assert page.status_code == 503
    assert "Redis does not answer" in page.text
    data = browser.get("/0/data/queues.json")
    assert data.status_code == 503
    assert "Redis does not answer" in data.json["message"]
    assert browser.post("/job/m-1/delete").json["status"] == "ERROR"
    assert browser.get("/static/css/main.css").status_code == 200


def test_a_stopped_redis_is_reported_until_it_is_back(own_redis: RedisProcess, browser: RqBrowser) -> None:
    assert browser.get("/").status_code == 200
    own_redis.kill()
    assert_reports_outage(browser)
    own_redis.start()
    assert browser.get("/").status_code == 200
    assert browser.json("queues.json")["queues"][0]["count"] == 1


def test_a_frozen_redis_is_reported_until_it_is_back(own_redis: RedisProcess, browser: RqBrowser) -> None:
    own_redis.pause()
    assert_reports_outage(browser)
    own_redis.resume()
    assert browser.get("/").status_code == 200


def test_a_refusal_of_redis_is_reported(own_redis: RedisProcess, browser: RqBrowser) -> None:
    with own_redis.client() as client:
        client.config_set("requirepass", "now")
        client.execute_command("AUTH", "now")
        client.client_kill_filter(_type="normal", skipme=True)
        assert browser.get("/").status_code == 503


def test_the_password_is_still_asked_for(own_redis: RedisProcess, browser: RqBrowser) -> None:
    own_redis.kill()
    assert browser.client.get("/").status_code == 401
    assert browser.client.get("/", auth=LOGIN).status_code == 503
