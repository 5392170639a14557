"""A replay that names a handler: an event that this handler does not want stays what it was."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ackfirst import Event, on
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.failed_result import failures_in, traceback_of
from ackfirst.shared.queue.record import UNWANTED
from ackfirst.shared.replay.endings import read_endings
from ackfirst.shared.store import Store
from ackfirst.workers.processing.report import LEFT_OUT
from tests.support.factories import make_envelope
from tests.support.jobs import burst, enqueue, status
from tests.support.replays import begin, record_in, run_to_end, runner_of, write


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with record_in(tmp_path) as opened:
        yield opened


@on(retries=0)
def charge(event: Event) -> None:
    raise ValueError("broken")


@on("delivery-receipt", retries=0)
def receipt(event: Event) -> None:
    raise AssertionError("it does not want this event")


for handler in (charge, receipt):
    handler.__module__ = "my_handlers"


def replayed(client: redis.Redis, url: str, store: Store, event: Envelope, handlers: str) -> str:
    """Replay the event with these handlers, and run it; the replay's id."""
    replay = begin(store, [event.id], handlers=handlers)
    run_to_end(runner_of(client, store), store, replay)
    burst(url, charge, receipt)
    return replay.id


def newest_failure(client: redis.Redis, event: Envelope) -> dict[str, str]:
    ((_, fields),) = client.xrevrange(keys.results(event.id), count=1)
    return failures_in(traceback_of(fields))


@pytest.mark.parametrize("state", ["processed", "unhandled", "discarded"])
def test_an_event_that_had_ended_ends_the_same_way(
    redis_sync: redis.Redis, redis_url: str, store: Store, state: str
) -> None:
    event = make_envelope(lane="one")
    write(store, [event], state, at=event.received_at + 1, charge="done")
    replay_id = replayed(redis_sync, redis_url, store, event, "my_handlers.receipt")
    endings = read_endings(redis_sync, replay_id)
    assert (endings.unwanted, endings.succeeded, endings.died, endings.ended) == (1, 0, 0, 1)
    assert status(redis_sync, event.id) == "finished"
    assert [line[2:8:5] for line in recorded(redis_sync)] == [[state, UNWANTED]]


def recorded(client: redis.Redis) -> list[list[object]]:
    return [line for _, fields in client.xrange(keys.RECORD) for line in json.loads(fields.get(b"o", b"[]"))]


def test_a_dead_letter_keeps_its_error(redis_sync: redis.Redis, redis_url: str, store: Store) -> None:
    event = make_envelope(lane="one")
    enqueue(redis_sync, event)
    burst(redis_url, charge, receipt)
    write(store, [event], "dead", at=event.received_at + 1, charge="dead")
    assert newest_failure(redis_sync, event) == {"my_handlers.charge": "ValueError: broken"}
    replay_id = replayed(redis_sync, redis_url, store, event, "my_handlers.receipt")
    assert status(redis_sync, event.id) == "failed"
    assert newest_failure(redis_sync, event) == {"my_handlers.charge": "ValueError: broken"}
    assert read_endings(redis_sync, replay_id).unwanted == 1
    assert redis_sync.hget(keys.job(event.id), keys.REPLAY) is None, "a requeue runs the dead handler again"


def test_an_error_of_several_lines_is_kept_on_one() -> None:
    text = "Traceback\nackfirst.HandlersFailed: a.b: ValidationError: 2 errors\n  to\n  from; c.d: KeyError: 'x'"
    assert failures_in(text) == {"a.b": "ValidationError: 2 errors to from", "c.d": "KeyError: 'x'"}


def test_a_dead_letter_that_rq_has_forgotten_is_still_one_of_its_handler(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    event = make_envelope(lane="one")
    write(store, [event], "dead", at=event.received_at + 1, charge="dead")
    replayed(redis_sync, redis_url, store, event, "my_handlers.receipt")
    assert status(redis_sync, event.id) == "failed"
    assert newest_failure(redis_sync, event) == {"my_handlers.charge": LEFT_OUT}


def test_a_dead_letter_of_a_handler_that_is_no_more_stays_one(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    event = make_envelope(lane="one")
    write(store, [event], "dead", at=event.received_at + 1, renamed="dead")
    replayed(redis_sync, redis_url, store, event, "")
    assert status(redis_sync, event.id) == "failed"
    assert newest_failure(redis_sync, event) == {"": UNWANTED}
