"""When events go to the spool at once, and when back to Redis."""

from redis.exceptions import ResponseError

from ackfirst.ingest.spool.circuit import Circuit, is_about_one_event
from ackfirst.shared.errors import QueueUnavailableError
from tests.support.ingest import RecordingLog


def test_it_opens_with_one_line_and_closes_with_one() -> None:
    log = RecordingLog()
    circuit = Circuit(high_water=0.8, log=log)
    for _ in range(5):
        circuit.fail("gone")
    assert (circuit.closed, circuit.writable, circuit.reason) == (False, False, "gone")
    circuit.well(None)
    circuit.well(0.5)
    assert (circuit.closed, circuit.writable, circuit.reason) == (True, True, None)
    assert [line["event"] for line in log.lines] == ["circuit.opened", "circuit.closed"]


def test_a_slow_redis_gets_no_callbacks_but_what_waits_on_disk() -> None:
    circuit = Circuit(high_water=0.8, log=RecordingLog())
    circuit.late()
    assert (circuit.closed, circuit.writable) == (False, True)


def test_a_redis_that_was_too_full_must_be_clearly_below_the_mark() -> None:
    circuit = Circuit(high_water=0.8, log=RecordingLog())
    states = []
    for memory in (0.8, 0.81, 0.79, 0.75, 0.79):
        circuit.well(memory)
        states.append((circuit.closed, circuit.writable))
    assert states == [(True, True), (False, False), (False, False), (True, True), (True, True)]


def test_a_key_of_another_type_concerns_one_event_and_a_full_server_all() -> None:
    for text, alone in (("WRONGTYPE Operation against a key", True), ("OOM command not allowed", False)):
        error = QueueUnavailableError("refused")
        error.__cause__ = ResponseError(text)
        assert is_about_one_event(error) is alone
