"""Is this still the Redis that we know? Tells a wiped one, and one that has gone back in time. Pure.

Redis holds a marker that was made once, by chance, and a counter that janitors let grow. A marker that is gone or
another one means that all data is gone (an empty volume, ``FLUSHALL``, a failover to an empty replica). A counter that
is smaller than it was means that the newest writes are gone (a truncated append-only file, a failover to a replica that
lagged).
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["wiped", "rolled-back"]


@dataclass(frozen=True, slots=True)
class Loss:
    """Data that Redis had and has no more."""

    kind: Kind
    rounds: int
    """By how much the counter went back; a janitor adds about two a second. 0 where everything is gone."""


@dataclass(slots=True)
class Generation:
    """What one observer remembers."""

    marker: str | None = None
    """None: it has never seen one."""
    rounds: int = 0

    def observe(self, marker: str | None, rounds: int) -> Loss | None:
        """Compare with what Redis says now; what was lost since the last time."""
        before, self.rounds = self.rounds, rounds
        if self.marker is None:
            self.marker = marker
            return None
        if marker != self.marker:
            self.marker = marker
            return Loss("wiped", 0) if marker is not None else None
        return Loss("rolled-back", before - rounds) if rounds < before else None
