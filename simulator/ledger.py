"""Who owes what: everything that was acknowledged against everything that handlers saw. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from ackfirst.simulator.delivery import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger: one callback that was sent."""

    event_id: str | None
    """What a handler must see once ``acked``; None for a forged callback."""
    forged_id: str | None
    """What no handler may ever see; None for a genuine callback."""
    kind: str
    family: str
    answers: tuple[int | None, ...]
    """Status of each attempt; None where no answer came."""
    acked: bool
    """The receiver took responsibility for ``event_id``."""
    application: str | None = None
    """Application that the token names."""
    fate: str | None = None
    """What became of it at the provider: delivered, dropped, expired; waiting or sending where the run was ended."""
    waited: float | None = None
    """Seconds of the provider's time from its creation until then; None while it waits."""

    def as_json(self) -> str:
        """One line of JSON, without the line end."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """How the two sides compare. Events are counted once, however often they were sent."""

    expected: int
    """Events that were acknowledged."""
    handled: int
    """Of those, how many a handler saw."""
    handled_twice: tuple[str, ...]
    """Events that handlers were given more than once. Allowed, but worth knowing."""
    missing: tuple[str, ...]
    """Acknowledged, never handled: lost."""
    forged_through: tuple[str, ...]
    """Handled, although it was forged."""

    @property
    def holds(self) -> bool:
        """Nothing lost, nothing forged."""
        return not self.missing and not self.forged_through


def entry(delivery: Delivery) -> Entry:
    """The line of one delivery."""
    planned = delivery.planned
    forged, life = planned.kind.is_forged, delivery.life
    return Entry(
        event_id=None if forged else planned.event_id,
        forged_id=planned.event_id if forged else None,
        kind=planned.kind.value,
        family=planned.content.family.value,
        answers=tuple(attempt.status for attempt in delivery.attempts),
        acked=delivery.acknowledged,
        application=planned.application_id,
        fate=life.stage.value if life else None,
        waited=None if life is None or life.settled is None else round(life.settled - life.created, 3),
    )


def expected_ids(entries: Iterable[Entry]) -> frozenset[str]:
    """Every event that handlers owe us."""
    return frozenset(line.event_id for line in entries if line.acked and line.event_id)


def balance(entries: Sequence[Entry], handled: Mapping[str, int]) -> Balance:
    """Compare what was acknowledged with ``handled``: event id to how many times a handler was given it."""
    expected = expected_ids(entries)
    forged = {line.forged_id for line in entries if line.forged_id}
    return Balance(
        expected=len(expected),
        handled=len(expected & handled.keys()),
        handled_twice=tuple(sorted(event_id for event_id, times in handled.items() if times > 1)),
        missing=tuple(sorted(expected - handled.keys())),
        forged_through=tuple(sorted(forged & handled.keys())),
    )


def as_lines(entries: Iterable[Entry]) -> str:
    """One JSON object a line."""
    return "".join(f"{line.as_json()}\n" for line in entries)
