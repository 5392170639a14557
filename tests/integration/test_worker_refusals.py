"""A Redis that answers and takes no writes for a while: workers wait, and blame no event for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis
from redis._parsers.base import BaseParser

from ackfirst.shared.queue import keys
from ackfirst.shared.redis.errors import PASSING, NotNowError
from tests.support.factories import make_envelope
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import enqueue, statuses
from tests.support.processes import Cli
from tests.support.redis_process import RedisProcess
from tests.support.waiting import wait_until

FAST = "@on()\ndef run(event):\n    note(event.id)\n"


@contextmanager
def too_few_replicas(server: RedisProcess) -> Iterator[None]:
    with server.client() as client:
        client.config_set("min-replicas-to-write", 1)
        yield
        client.config_set("min-replicas-to-write", 0)


@contextmanager
def a_script_without_end(server: RedisProcess) -> Iterator[None]:
    with server.client() as client:
        client.config_set("busy-reply-threshold", 100)

    def run() -> None:
        with server.client() as client, pytest.raises(redis.RedisError):
            client.eval("while true do end", 0)

    running = threading.Thread(target=run)
    running.start()
    yield
    with server.client() as client:
        wait_until(client.script_kill, timeout=10)
    running.join()


@pytest.mark.parametrize("trouble", [too_few_replicas, a_script_without_end])
def test_engine_and_janitor_outlive_it_and_no_job_is_charged(
    trouble: Callable[[RedisProcess], AbstractContextManager[None]], own_redis: RedisProcess, tmp_path: Path
) -> None:
    write_handlers(tmp_path, FAST)
    env = {"ACKFIRST_REDIS_URL": own_redis.url, "ACKFIRST_HANDLERS": "my_handlers", "ACKFIRST_LOG_FORMAT": "json"}
    with own_redis.client() as client, Cli("worker", cwd=tmp_path, env=env) as pool:
        first, second = ([make_envelope() for _ in range(50)] for _ in range(2))
        enqueue(client, *first)
        wait_until(lambda: len(calls(client)) == 50, timeout=30)
        with trouble(own_redis):
            pool.wait_for_output("NotNowError", timeout=20)
        enqueue(client, *second)
        wait_until(lambda: len(calls(client)) == 100, timeout=30)
        wait_until(lambda: statuses(client, [*first, *second]) == {"finished"}, timeout=20)
        assert client.exists(keys.JANITOR_LEASE)
        assert [job.id for job in second if client.hget(keys.job(job.id), keys.KILLS)] == []
    assert "child.ended" not in pool.output
    assert "Traceback" not in pool.output


@pytest.mark.parametrize("word", PASSING)
def test_each_of_the_words_is_known(word: str) -> None:
    error = BaseParser.parse_error(f"{word} and the rest")
    assert isinstance(error, NotNowError)
    assert str(error) == "and the rest"


def test_another_group_of_the_same_name_is_a_mistake_as_before() -> None:
    assert not isinstance(BaseParser.parse_error("BUSYGROUP exists"), NotNowError)
