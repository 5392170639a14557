"""Keep the ledger: compare the callbacks that were acknowledged with the events that handlers saw."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from ackfirst.simulator.delivery import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger: one callback that was sent."""

    event_id: str | None
    """The event that a handler must see if ``acked``; None for a forged callback."""
    forged_id: str | None
    """The event that no handler may see; None for a genuine callback."""
    kind: str
    family: str
    answers: tuple[int | None, ...]
    """Status of each attempt; None where no answer came."""
    acked: bool
    """Whether the receiver has acknowledged ``event_id``."""
    application: str | None = None
    """Application that the token names."""
    fate: str | None = None
    """Stage at Nexmo: delivered, dropped or expired; waiting or sending if the run was interrupted."""
    waited: float | None = None
    """Seconds of Nexmo's time from its creation to its final stage; None before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Both sides of the ledger. Events are counted once, however often they were sent."""

    expected: int
    """Events that were acknowledged."""
    handled: int
    """Those of them that a handler saw."""
    handled_twice: tuple[str, ...]
    """Events that handlers saw more than once: allowed, but worth knowing."""
    missing: tuple[str, ...]
    """Acknowledged and not handled: lost."""
    forged_through: tuple[str, ...]
    """Forged and handled."""

    @property
    def holds(self) -> bool:
        """True if nothing is lost and no forged callback was handled."""
        return not self.missing and not self.forged_through


def entry(delivery: Delivery) -> Entry:
    """Return the line of one delivery."""
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
    """Return the events that handlers must see."""
    return frozenset(line.event_id for line in entries if line.acked and line.event_id)


def balance(entries: Sequence[Entry], handled: Mapping[str, int]) -> Balance:
    """Compare acknowledged events with ``handled``: event id → how many times a handler saw it."""
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
    """Encode the ledger, one JSON object a line."""
    return "".join(f"{json.dumps(asdict(line))}\n" for line in entries)


def handled_events(folder: Path) -> dict[str, int]:
    """Return event id → times handled, from the database of the handler ``store`` in ``examples/handlers.py``.

    ``folder`` is the data folder of the worker. The result is empty until the handler has made its table.
    """
    file = folder / "events.db"
    if not file.exists():
        return {}
    database = sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=30)
    try:
        return dict(database.execute("SELECT id, deliveries FROM events"))
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return {}
        raise
    finally:
        database.close()
