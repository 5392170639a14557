"""Tell whether Redis still has all that it confirmed: a marker for the whole, a counter for the newest writes. Pure.

Redis holds a random marker that is written once, and a counter of acknowledged events that every acknowledgement moves,
in the same script. A marker that is missing or different means that all data is gone: an empty volume, ``FLUSHALL``, a
failover to an empty replica. A counter that is smaller than one that we have seen means that the newest writes are gone
(a truncated append-only file, ``appendfsync everysec``, a failover to a replica that lagged), and says how many.

The marker ends in the second at which it was written: so long has this Redis known of every callback.
"""

import secrets
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["wiped", "rolled-back"]


def new_marker(now: float) -> str:
    """Make a marker at Unix time ``now``."""
    return f"{secrets.token_hex(8)}-{now:.0f}"


def written_at(marker: str) -> float | None:
    """Return the Unix second at which a marker was written; None if it does not say."""
    second = marker.rpartition("-")[2]
    return float(second) if second.isdigit() and "-" in marker else None


@dataclass(frozen=True, slots=True)
class Loss:
    """Data that Redis confirmed and no longer has."""

    kind: Kind
    events: int = 0
    """Acknowledged events that are gone, at the least; 0 if the whole counter is gone."""


class Position(NamedTuple):
    """The knowledge of an observer when it sent a command.

    Replies of several connections arrive in any order: one that was sent earlier may bring a smaller counter, and it is
    compared with what was known at that time.
    """

    losses: int
    acknowledged: int


@dataclass(slots=True)
class Generation:
    """The memory of one observer."""

    marker: str | None = None
    """None until one was seen."""
    acknowledged: int = 0
    """The largest counter since the last loss."""
    losses: int = 0
    _missing: int = 0
    """Events that a reply has shown to be gone. Whether all others are gone too, only the marker tells."""

    @property
    def position(self) -> Position:
        """Return the position that is known now; take it before a command is sent."""
        return Position(self.losses, self.acknowledged)

    def confirm(self, acknowledged: int, *, since: Position, added: int = 0) -> None:
        """Compare a counter of Redis with what was known at ``since``, after ``added`` events of our own."""
        missing = since.acknowledged + added - acknowledged
        if missing > 0 and since.losses == self.losses:
            self.losses += 1
            self.acknowledged = acknowledged
            self._missing += missing
        else:
            self.acknowledged = max(self.acknowledged, acknowledged)

    def observe(self, marker: str | None, acknowledged: int, *, since: Position) -> Loss | None:
        """Compare marker and counter with what was known at ``since``; return what was lost since the last call."""
        self.confirm(acknowledged, since=since)
        missing, self._missing = self._missing, 0
        is_another = self.marker is not None and marker != self.marker
        self.marker = marker
        if is_another:
            self.losses += not missing
            self.acknowledged = acknowledged
            return Loss("wiped") if marker is not None else None
        return Loss("rolled-back", missing) if missing else None
