"""The health check of each container."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ackfirst.ops import health
from tests.support.ports import free_port


def proc(folder: Path, **command_lines: str) -> Path:
    """A ``/proc`` with these processes: ``p1="ackfirst worker"`` is process 1."""
    for name, line in command_lines.items():
        (folder / name[1:]).mkdir()
        (folder / name[1:] / "cmdline").write_text("\0".join([*line.split(), ""]))
    (folder / "meminfo").touch()
    return folder


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers every GET with that status: its address, and which paths were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"0.0.0.0:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "line",
    [
        "ackfirst ingest --processes 1",
        "/opt/ackfirst/bin/python /opt/ackfirst/bin/ackfirst ingest",
        "/sbin/docker-init -- ackfirst ingest",
    ],
)
def test_the_role_is_known_whatever_started_it(line: str) -> None:
    assert health.role(line.split()) == "ingest"


@pytest.mark.parametrize("line", ["", "ackfirst", "sh -c sleep"])
def test_a_command_line_without_a_role_has_none(line: str) -> None:
    assert health.role(line.split(" ")) is None


@pytest.mark.parametrize(("status", "is_well"), [(200, True), (503, False), (404, False)])
def test_ingest_is_well_when_it_is_ready(tmp_path: Path, status: int, is_well: bool) -> None:
    with answering(status) as (address, asked):
        said = health.find_trouble(proc(tmp_path, p1="ackfirst ingest"), {"ACKFIRST_ADMIN_LISTEN": address})
    assert (said is None) == is_well
    assert asked == ["/readyz"]


def test_an_ingest_that_does_not_answer_is_not_well(tmp_path: Path) -> None:
    address = f"0.0.0.0:{free_port()}"
    said = health.find_trouble(proc(tmp_path, p1="ackfirst ingest"), {"ACKFIRST_ADMIN_LISTEN": address})
    assert said == f"ingest's /readyz on {address} says nothing"


@pytest.mark.parametrize(("status", "is_well"), [(401, True), (200, False), (500, False)])
def test_the_page_is_well_when_it_asks_for_a_password(tmp_path: Path, status: int, is_well: bool) -> None:
    with answering(status) as (address, _):
        said = health.find_trouble(proc(tmp_path, p1="ackfirst web"), {"ACKFIRST_WEB_LISTEN": address})
    assert (said is None) == is_well


def test_a_worker_is_well_while_an_engine_runs(tmp_path: Path) -> None:
    folder = proc(tmp_path, p1="docker-init -- ackfirst worker", p8="python -m ackfirst worker --role engine --lane a")
    assert health.find_trouble(folder, {}) is None


def test_a_worker_without_an_engine_is_not_well(tmp_path: Path) -> None:
    folder = proc(tmp_path, p1="ackfirst worker", p9="python -m ackfirst worker --role janitor")
    said = health.find_trouble(folder, {})
    assert said is not None
    assert said.startswith("no engine runs")


def test_a_worker_that_runs_to_the_end_is_an_engine_itself(tmp_path: Path) -> None:
    assert health.find_trouble(proc(tmp_path, p1="ackfirst worker --burst"), {}) is None


def test_another_command_is_well_for_as_long_as_it_runs(tmp_path: Path) -> None:
    assert health.find_trouble(proc(tmp_path, p1="ackfirst simulate http://edge:8080"), {}) is None
