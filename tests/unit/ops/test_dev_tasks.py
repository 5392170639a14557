"""What ``ackfirst dev`` does periodically beside its processes."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count

import pytest

from ackfirst.ops.dev import announce_when_healthy, is_healthy
from ackfirst.shared.processes.periodic import PeriodicThread
from tests.support.ports import free_port
from tests.support.waiting import wait_until


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def healthy() -> Iterator[tuple[str, int]]:
    with HTTPServer(("127.0.0.1", 0), _Health) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield "127.0.0.1", server.server_port
        server.shutdown()
        thread.join()


def _is_running() -> bool:
    return any(thread.name == "periodic" for thread in threading.enumerate())


def test_a_task_is_repeated_until_it_returns_true() -> None:
    looks = count(1)
    seen: list[int] = []

    def look() -> bool:
        seen.append(next(looks))
        return seen[-1] == 3

    with PeriodicThread(look, seconds=0.001):
        wait_until(lambda: not _is_running())

    assert seen == [1, 2, 3]


def test_a_task_is_not_called_after_the_end() -> None:
    seen: list[int] = []
    with PeriodicThread(lambda: bool(seen.append(1)), seconds=0.001):
        wait_until(lambda: seen)
    looks = len(seen)

    assert not _is_running()
    assert len(seen) == looks


def test_it_is_announced_when_every_place_answers(healthy: tuple[str, int]) -> None:
    said: list[str] = []
    look = announce_when_healthy([healthy, healthy], lambda: said.append("ready"))

    assert look()
    assert said == ["ready"]


def test_it_is_not_announced_while_one_place_is_silent(healthy: tuple[str, int]) -> None:
    said: list[str] = []
    look = announce_when_healthy([healthy, ("127.0.0.1", free_port())], lambda: said.append("ready"))

    assert not look()
    assert said == []


def test_health_is_an_answer_with_200(healthy: tuple[str, int]) -> None:
    assert is_healthy(*healthy)
    assert not is_healthy("127.0.0.1", free_port())
