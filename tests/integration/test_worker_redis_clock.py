"""The clock of all schedules is the one of Redis, whatever this machine's wall clock says."""

import pytest
import redis

from ackfirst.workers.recovery.redis_clock import DOUBT_SECONDS, RedisClock


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


def pass_time(server: FakeServer, clock: RedisClock, seconds: int) -> None:
    for _ in range(seconds):
        server.monotonic += 1
        server.time_of_day += 1
        clock.calibrate()


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_clock_that_is_wrong_for_a_moment_moves_no_schedule(
    server: FakeServer, clock: RedisClock, step: float
) -> None:
    clock.calibrate()
    server.time_of_day += step
    pass_time(server, clock, 3)
    assert clock.now() == pytest.approx(1_800_000_003.25)
    server.time_of_day -= step
    pass_time(server, clock, 30)
    assert clock.now() == pytest.approx(1_800_000_033.25)


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_clock_that_was_set_is_followed_after_a_while(server: FakeServer, clock: RedisClock, step: float) -> None:
    clock.calibrate()
    server.time_of_day += step
    pass_time(server, clock, int(DOUBT_SECONDS) + 2)
    assert clock.now() == pytest.approx(server.time_of_day)


def test_drift_is_followed_at_once(server: FakeServer, clock: RedisClock) -> None:
    clock.calibrate()
    server.time_of_day += 1.5
    clock.calibrate()
    assert clock.now() == pytest.approx(1_800_000_001.75)


def test_it_agrees_with_a_real_server(redis_sync: redis.Redis) -> None:
    seconds, _ = redis_sync.time()
    assert RedisClock(redis_sync).now() == pytest.approx(seconds, abs=2)
