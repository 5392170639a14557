"""The clock of all schedules is the one of Redis, whatever this machine's wall clock says."""

import pytest
import redis

from ackfirst.workers.recovery.redis_clock import RedisClock


class FakeServer:
    """A Redis whose clock a test sets, beside a monotonic clock that it moves."""

    def __init__(self) -> None:
        self.time_of_day = 1_800_000_000.25
        self.monotonic = 1000.0

    def time(self) -> tuple[int, int]:
        seconds, rest = divmod(self.time_of_day, 1)
        return int(seconds), int(rest * 1e6)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def clock(server: FakeServer) -> RedisClock:
    return RedisClock(server, clock=lambda: server.monotonic)  # type: ignore[arg-type]  # what it needs of a client


def test_it_runs_by_itself_between_two_calibrations(server: FakeServer, clock: RedisClock) -> None:
    assert clock.now() == pytest.approx(1_800_000_000.25)
    server.monotonic += 60
    assert clock.now() == pytest.approx(1_800_000_060.25)


def test_it_follows_redis_when_its_clock_is_set(server: FakeServer, clock: RedisClock) -> None:
    clock.calibrate()
    server.time_of_day += 3600
    clock.calibrate()
    assert clock.now() == pytest.approx(1_800_003_600.25)


def test_it_agrees_with_a_real_server(redis_sync: redis.Redis) -> None:
    seconds, _ = redis_sync.time()  # type: ignore[misc]  # redis-py types it for both of its clients
    assert RedisClock(redis_sync).now() == pytest.approx(seconds, abs=2)
