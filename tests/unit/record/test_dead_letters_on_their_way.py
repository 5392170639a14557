"""Dead letters that the recorder moves from its stream into the record while both are read."""

from collections.abc import Sequence
from typing import Any, cast

from ackfirst.ops.record.dead_letters import TRIES, all_groups, grouped, with_recorded
from ackfirst.shared.store import DeadGroup, DeadLetter, Store

NOW = 1_000_000.0


def letter(event_id: str, handler: str = "my.handler") -> DeadLetter:
    return DeadLetter(
        event_id=event_id,
        received_at=NOW - 2,
        message_id=None,
        lane="one",
        handler=handler,
        error_type="KeyError",
        error="'berth'",
        attempts=1,
        dead_at=NOW - 1,
    )


class MovingStore:
    """A record whose recorder moves on whenever its groups are read, until it has nothing left to move."""

    def __init__(self, *steps: Sequence[DeadLetter]) -> None:
        """``steps`` are the letters that the recorder writes, in order."""
        self.left = list(steps)
        self.written: list[DeadLetter] = []
        self.reads = 0

    def position(self) -> str:
        return f"{len(self.written)}-0"

    def dead_groups(self, now: float) -> list[DeadGroup]:
        self.reads += 1
        if self.left:
            self.written += self.left.pop(0)
        return grouped(self.written, now=now)

    def unrecorded(self, position: str) -> list[DeadLetter]:
        everything = [*self.written, *(one for step in self.left for one in step)]
        return everything[int(position.partition("-")[0]) :]


def count(store: MovingStore) -> int:
    groups = all_groups(cast("Store", cast("Any", store)), store.unrecorded, now=NOW)
    return sum(group.hour for group in groups)


def test_a_letter_that_is_recorded_meanwhile_is_counted_once() -> None:
    assert count(MovingStore([letter("a")])) == 1
    assert count(MovingStore([letter("a")], [letter("b")])) == 2


def test_a_recorder_that_never_rests_does_not_hold_up_the_list() -> None:
    store = MovingStore(*([letter(str(number))] for number in range(100)))
    count(store)
    assert store.reads == TRIES


def test_a_letter_is_listed_once_for_each_handler() -> None:
    newest = [letter("a"), letter("a", "other.handler")]
    found = list(with_recorded(newest, [letter("a"), letter("b")]))
    assert [(one.event_id, one.handler) for one in found] == [
        ("a", "my.handler"),
        ("a", "other.handler"),
        ("b", "my.handler"),
    ]
