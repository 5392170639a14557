"""A record with events in it, and replays of them."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import structlog

from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.replay.selection import Selection
from ackfirst.shared.store import Arrival, Attempt, Batch, Ending, EventFilter, Replay, Store, open_store
from ackfirst.workers.replay.runner import ReplayRunner
from tests.support.jobs import OPTIONS


@contextmanager
def record_in(folder: Path) -> Iterator[Store]:
    """An empty record in a file."""
    with open_store(f"sqlite:///{folder / 'record.db'}", migrate=True) as store:
        yield store


def arrival(envelope: Envelope) -> Arrival:
    return Arrival(
        event_id=envelope.id,
        account=envelope.account,
        application_id=envelope.application_id,
        lane=envelope.lane,
        family=envelope.family,
        channel="sms",
        message_id=envelope.message_id,
        client_ref=None,
        status=None,
        sender="447700900417",
        recipient="12015550142",
        received_at=envelope.received_at,
        occurred_at=None,
        encoding=envelope.encoding,
        content_type=envelope.content_type,
        body=envelope.body,
        query=envelope.query,
        trace=envelope.trace,
    )


def attempt(envelope: Envelope, handler: str, ending: str = "done", *, at: float, **fields: Any) -> Attempt:
    values = {"error_type": "ValueError", "message": "broken"} if ending == "dead" else {}
    return Attempt(
        event_id=envelope.id,
        received_at=envelope.received_at,
        handler=handler,
        number=1,
        worker="w",
        started=at,
        seconds=0.001,
        ending=ending,
        **{**values, **fields},
    )


def write(store: Store, envelopes: Sequence[Envelope], state: str = "processed", *, at: float, **handlers: str) -> None:
    """Record events that have ended; ``handlers`` are names in ``my_handlers`` with the ending of their attempt."""
    ids = iter(range(1, 1_000_000))
    for first in range(0, len(envelopes), 500):
        some = envelopes[first : first + 500]
        store.write(
            Batch(
                position=f"{int(time.time() * 1000)}-{next(ids) + secrets.randbelow(10**9)}",
                arrivals=[arrival(one) for one in some],
                attempts=[
                    attempt(one, f"my_handlers.{name}", ending, at=at)
                    for one in some
                    for name, ending in handlers.items()
                ],
                endings=[
                    Ending(event_id=one.id, received_at=one.received_at, lane=one.lane, state=state, at=at)
                    for one in some
                ],
            )
        )


def begin(store: Store, wanted: EventFilter | Sequence[str], **fields: Any) -> Replay:
    """Create a replay that runs."""
    selection = Selection(filter=wanted) if isinstance(wanted, EventFilter) else Selection(events=tuple(wanted))
    values: dict[str, Any] = {
        "id": f"r-{secrets.token_hex(4)}",
        "name": "test",
        "created_at": time.time(),
        "who": "me",
        "reason": "",
        "filter": selection.encode(),
        "rate": 10_000.0,
        **fields,
    }
    replay = Replay(**values)
    store.replay_new(replay)
    return replay


def runner_of(client: redis.Redis, store: Store, *, clock: Callable[[], float] = time.monotonic) -> ReplayRunner:
    return ReplayRunner(client, store, OPTIONS, log=structlog.get_logger(), clock=clock)


def known(store: Store, replay: Replay) -> Replay:
    """The replay as the store has it now."""
    found = store.replay(replay.id)
    assert found is not None
    return found


def run_to_end(
    runner: ReplayRunner,
    store: Store,
    replay: Replay,
    between: Callable[[], object] = lambda: None,
    *,
    steps: int = 400,
) -> Replay:
    """Step until the replay no longer runs; ``between`` is called after each step, to work off what was queued."""
    for _ in range(steps):
        runner.step(time.time())
        between()
        if (now := known(store, replay)).state != "running":
            return now
        time.sleep(0.01)
    raise AssertionError(f"the replay still runs: {known(store, replay)}")
