"""The clock of all schedules: steps of Redis's clock are taken out of it, and agreement comes back slowly."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
import structlog
from structlog.testing import capture_logs

from ackfirst.shared.queue import keys
from ackfirst.workers.recovery.redis_clock import BELIEF, SLEW, Corrector, Reference

START = 1_800_000_000.0


class World:
    """A Redis whose clock a test sets, and a monotonic clock that it moves."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.steady = 1000.0
        self.error = 0.0

    def pipeline(self, *, transaction: bool) -> Any:
        """The real one, but for the time that it tells."""
        pipeline = self.client.pipeline(transaction=transaction)
        execute = pipeline.execute

        def told(*, raise_on_error: bool = True) -> list[Any]:
            _, correction = execute(raise_on_error=raise_on_error)
            seconds, rest = divmod(START + self.steady - 1000.0 + self.error, 1)
            return [(int(seconds), int(rest * 1e6)), correction]

        pipeline.execute = told  # type: ignore[method-assign]
        return pipeline

    def incrbyfloat(self, key: str, amount: float) -> None:
        """As it is."""
        self.client.incrbyfloat(key, amount)

    def clock(self) -> float:
        """Monotonic seconds."""
        return self.steady


@pytest.fixture
def world(redis_sync: redis.Redis) -> World:
    return World(redis_sync)


@pytest.fixture
def reference(world: World) -> Reference:
    return Reference(world, clock=world.clock)  # type: ignore[arg-type]  # what it needs of one


@pytest.fixture
def corrector(world: World) -> Corrector:
    return Corrector(world, log=structlog.get_logger(), clock=world.clock)  # type: ignore[arg-type]  # as above


def passes(world: World, seconds: float, *each: Callable[[], object], step: float = 0.5) -> None:
    """Let time pass, with a round every ``step`` seconds."""
    for _ in range(round(seconds / step)):
        world.steady += step
        for one in each:
            one()


def test_it_runs_by_itself_between_two_looks(world: World, reference: Reference) -> None:
    assert reference.now() == pytest.approx(START)
    world.steady += 60
    assert reference.now() == pytest.approx(START + 60)


@pytest.mark.parametrize("hour", [3600.0, -3600.0])
def test_a_step_of_an_hour_moves_no_schedule(
    world: World, reference: Reference, corrector: Corrector, hour: float
) -> None:
    def round_() -> None:
        corrector.correct(corrector.look())

    reference.calibrate()
    passes(world, 5, round_, reference.calibrate)
    world.error = hour
    with capture_logs() as lines:
        passes(world, 60, reference.calibrate, round_)
    assert [(line["event"], line["seconds"]) for line in lines] == [("clock.stepped", hour)]
    assert reference.now() == pytest.approx(START + 65, abs=SLEW * 65 + 1)
    late = Reference(world, clock=world.clock)  # type: ignore[arg-type]  # a process that was started after the step
    assert late.now() == pytest.approx(reference.now(), abs=0.2)


def test_it_agrees_with_the_wall_again_by_and_by(world: World, reference: Reference, corrector: Corrector) -> None:
    corrector.correct(corrector.look())
    world.error = 30.0
    passes(world, 400, lambda: corrector.correct(corrector.look()), reference.calibrate)
    assert reference.now() == pytest.approx(START + 400 + 30, abs=0.1)
    before = redis_value(world)
    passes(world, 10, lambda: corrector.correct(corrector.look()))
    assert redis_value(world) == before, "what is negligible is not written again and again"


def redis_value(world: World) -> float:
    return float(world.client.get(keys.CLOCK) or 0)


def test_a_step_that_nobody_corrects_is_believed_after_a_while(world: World, reference: Reference) -> None:
    reference.calibrate()
    world.error = 3600.0
    passes(world, BELIEF, reference.calibrate)
    assert reference.now() == pytest.approx(START + BELIEF)
    passes(world, 1, reference.calibrate)
    assert reference.now() == pytest.approx(START + BELIEF + 1 + 3600)


def test_drift_is_followed_and_is_no_step(world: World, reference: Reference, corrector: Corrector) -> None:
    corrector.look()
    for _ in range(100):
        world.steady += 1
        world.error += 0.5
        reference.calibrate()
        assert corrector.look() == 0
    assert reference.now() == pytest.approx(START + 100 + 50)


def test_nonsense_in_its_key_is_no_correction(world: World, reference: Reference) -> None:
    world.client.set(keys.CLOCK, "soon")
    assert reference.now() == pytest.approx(START)
    world.client.delete(keys.CLOCK)
    world.client.rpush(keys.CLOCK, "a", "list")
    reference.calibrate()
    assert reference.now() == pytest.approx(START)
