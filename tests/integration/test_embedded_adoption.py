"""A server that outlived its owner is taken over: never two servers on one append-only file."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from ackfirst.shared.embedded import EmbeddedServer
from ackfirst.shared.errors import ConfigurationError
from tests.support.processes import ROOT, clean_environment
from tests.support.supervised import is_alive
from tests.support.waiting import wait_until

OWNER = """
import sys, time
from pathlib import Path
from ackfirst.shared.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""


@contextmanager
def owner(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that owns an embedded server in ``folder``, and the server's process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        env=clean_environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    try:
        yield process, pid
    finally:
        process.kill()
        process.communicate()
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_an_orphan_is_adopted_with_its_data_and_can_be_stopped(redis_folder: Path) -> None:
    with owner(redis_folder) as (process, orphan):
        process.kill()
        process.wait()
        assert is_alive(orphan)

        with EmbeddedServer(redis_folder) as server:
            assert (server.pid, server.adopted) == (orphan, True)
            with redis.Redis.from_url(server.url) as client:
                assert client.set("kept", "yes")
        wait_until(lambda: not is_alive(orphan))

    with EmbeddedServer(redis_folder) as server, redis.Redis.from_url(server.url) as client:
        assert not server.adopted
        assert client.get("kept") == b"yes"


def test_an_adopted_server_that_dies_is_started_again(redis_folder: Path) -> None:
    with owner(redis_folder) as (process, orphan):
        process.kill()
        process.wait()
        with EmbeddedServer(redis_folder) as server:
            os.kill(orphan, signal.SIGKILL)
            wait_until(server.restart_if_dead)

            assert not server.adopted
            assert is_alive(server.pid)
            assert not server.restart_if_dead()


def test_an_orphan_that_does_not_answer_is_named_and_not_doubled(redis_folder: Path) -> None:
    with owner(redis_folder) as (process, orphan):
        process.kill()
        process.wait()
        os.kill(orphan, signal.SIGSTOP)

        with pytest.raises(ConfigurationError, match=rf"does not answer \(process {orphan}\)"):
            EmbeddedServer(redis_folder, patience=0.1).start()
        os.kill(orphan, signal.SIGCONT)
        with EmbeddedServer(redis_folder) as server:
            assert server.pid == orphan


def test_a_folder_that_another_process_uses_is_refused(redis_folder: Path) -> None:
    with owner(redis_folder) as (process, server):
        with pytest.raises(ConfigurationError, match=rf"in use by another ackfirst \(process {process.pid}\)"):
            EmbeddedServer(redis_folder).start()

        assert is_alive(server)
        assert process.poll() is None


def test_what_a_killed_server_left_lying_about_is_no_obstacle(redis_folder: Path) -> None:
    with owner(redis_folder) as (process, orphan):
        process.kill()
        process.wait()
        os.kill(orphan, signal.SIGKILL)
        wait_until(lambda: not is_alive(orphan))
        assert (redis_folder / "valkey" / "server.sock").exists()

        with EmbeddedServer(redis_folder) as server:
            assert not server.adopted
            assert is_alive(server.pid)
