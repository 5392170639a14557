"""Fixtures for everybody: a real server per test process, and an environment without settings."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
import redis.asyncio
from hypothesis import HealthCheck, settings

from ackfirst.shared.store import Store, open_store
from tests.support.folders import new_short_folder
from tests.support.postgresql import PostgresProcess, find_programs
from tests.support.redis_process import RedisProcess

# How long an example takes says something about the machine, nothing about the code.
settings.register_profile("ackfirst", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ackfirst")


# A shell without job control starts what follows with ``&`` deaf to Ctrl-C, ``nohup`` to a hangup, and all processes of
# the tests inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own ACKFIRST_* settings never reach a test."""
    for name in [name for name in os.environ if name.startswith("ACKFIRST_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket's 108 bytes."""
    with new_short_folder() as folder:
        yield folder


@pytest.fixture
def redis_folder() -> Iterator[Path]:
    """The same for one test that starts a server of its own."""
    with new_short_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def redis_server(short_folder: Path) -> Iterator[RedisProcess]:
    """A real server, one per test process."""
    server = RedisProcess(short_folder).start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(redis_folder: Path) -> Iterator[RedisProcess]:
    """A real server of this test's own, for tests that stop, freeze or fill it."""
    server = RedisProcess(redis_folder).start()
    yield server
    server.kill()


@pytest.fixture
def redis_sync(redis_server: RedisProcess) -> Iterator[redis.Redis]:
    """A client of an empty database."""
    with redis_server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def redis_url(redis_server: RedisProcess, redis_sync: redis.Redis) -> str:
    """URL of the empty database."""
    return redis_server.url


@pytest.fixture
async def redis_async(redis_server: RedisProcess, redis_sync: redis.Redis) -> AsyncIterator[redis.asyncio.Redis]:
    """An asyncio client of the same empty database."""
    async with redis_server.async_client() as client:
        yield client


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresProcess]:
    """A real PostgreSQL, one per test process, with a database ``record`` that has the tables of the record."""
    if find_programs() is None:
        pytest.skip("no PostgreSQL server is installed (postgresql)")
    with new_short_folder() as folder:
        server = PostgresProcess(folder).start()
        server.execute("CREATE DATABASE record")
        open_store(server.url("record"), migrate=True).close()
        yield server
        server.stop()


@pytest.fixture
def own_postgres() -> Iterator[PostgresProcess]:
    """A real PostgreSQL of this test's own, for tests that stop, freeze or kill it."""
    if find_programs() is None:
        pytest.skip("no PostgreSQL server is installed (postgresql)")
    with new_short_folder() as folder:
        server = PostgresProcess(folder).start()
        yield server
        server.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty record that has its tables, once on each engine."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/data/record.db"
        open_store(url, migrate=True).close()
        yield url
        return
    server: PostgresProcess = request.getfixturevalue("postgres_server")
    with server.database(template="record") as url:
        yield url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty record, once on each engine."""
    with open_store(store_url) as opened:
        yield opened
