"""How the circuit follows Redis's answers, whatever form they take."""

import asyncio
from pathlib import Path
from typing import Any, Self

import pytest
import structlog
from prometheus_client import CollectorRegistry
from redis.exceptions import ConnectionError, NoPermissionError, ReadOnlyError, ResponseError  # noqa: A004 - redis-py's

from ackfirst.ingest.generation import GenerationWatch
from ackfirst.ingest.spool.circuit import Circuit
from ackfirst.ingest.spool.health import Health
from tests.support.waiting import await_until


class _Pipeline:
    def __init__(self, answer: Any, marker: Any, rounds: Any, types: list[Any]) -> None:
        self._answer, self._marker, self._rounds, self._types = answer, marker, rounds, types

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to give back."""

    def set(self, *_: object, **__: object) -> None:
        """Asked."""

    def get(self, *_: object) -> None:
        """Asked."""

    def info(self, *_: object) -> None:
        """Asked."""

    def type(self, *_: object) -> None:
        """Asked."""

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        assert not raise_on_error
        if isinstance(self._answer, Exception):
            raise self._answer
        return [True, self._marker, self._rounds, self._answer, *self._types]


class _Redis:
    def __init__(self) -> None:
        self.answer: Any = {"used_memory": 1, "maxmemory": 0}
        self.marker: Any = b"marker"
        self.rounds: Any = b"1"
        self.types: list[Any] = [b"set", b"none", b"list"]

    def pipeline(self, *, transaction: bool) -> _Pipeline:
        assert not transaction
        return _Pipeline(self.answer, self.marker, self.rounds, self.types)


def watch(redis: _Redis, circuit: Circuit, folder: Path) -> Health:
    generation = GenerationWatch(folder, "redis://r", log=structlog.get_logger(), registry=CollectorRegistry())
    return Health(redis, circuit, generation, deadline=0.25, is_stuck=lambda: False)  # type: ignore[arg-type]  # enough


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("reset"),
        OSError("broken pipe"),
        TimeoutError(),
        ReadOnlyError("You can't write against a read only replica."),
        RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed"),
        ValueError("something that nobody has thought of"),
    ],
)
async def test_whatever_fails_opens_the_circuit_and_the_next_good_answer_closes_it(
    error: Exception, tmp_path: Path
) -> None:
    redis = _Redis()
    circuit = Circuit(high_water=0.8, log=structlog.get_logger())
    health = watch(redis, circuit, tmp_path)
    redis.answer = error
    await health.ask()
    assert not circuit.closed
    assert not circuit.writable
    redis.answer = {"used_memory": 1, "maxmemory": 0}
    await health.ask()
    assert circuit.closed


async def test_it_goes_on_checking_after_a_connection_that_broke_in_the_middle_of_a_write(tmp_path: Path) -> None:
    redis = _Redis()
    circuit = Circuit(high_water=0.8, log=structlog.get_logger())
    health = watch(redis, circuit, tmp_path)
    redis.answer = RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")
    asking = asyncio.create_task(health.run())
    await await_until(lambda: not circuit.closed)
    redis.answer = {"used_memory": 1, "maxmemory": 0}
    await await_until(lambda: circuit.closed)
    assert not asking.done()
    asking.cancel()


@pytest.mark.parametrize("nonsense", [ResponseError("WRONGTYPE Operation against a key"), b"many", b"-1", b""])
async def test_a_marker_or_counter_that_holds_something_else_does_not_open_the_circuit(
    nonsense: Any, tmp_path: Path
) -> None:
    redis = _Redis()
    circuit = Circuit(high_water=0.8, log=structlog.get_logger())
    redis.marker = redis.rounds = nonsense
    await watch(redis, circuit, tmp_path).ask()
    assert circuit.closed


async def test_a_key_of_another_type_that_every_event_needs_opens_the_circuit_and_names_the_key(tmp_path: Path) -> None:
    redis = _Redis()
    circuit = Circuit(high_water=0.8, log=structlog.get_logger())
    redis.types = [b"set", b"string", b"list"]
    await watch(redis, circuit, tmp_path).ask()
    assert circuit.reason == "Redis: the key ackfirst:lanes is a string, not a set: rename or delete it"
    redis.types = [NoPermissionError("this user has no permissions to run the 'type' command")] * 3
    await watch(redis, circuit, tmp_path).ask()
    assert circuit.closed
