"""Tell dead engines from living ones by their heartbeats, without trust in any wall clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: Time without a heartbeat after which an engine is dead. Heartbeats come every second, from outside the engine where
#: it has a supervisor, so that a handler which holds the interpreter lock does not make its engine look dead.
SILENCE_SECONDS: Final = 7.0
#: Time between two observations after which the second counts as a first one: Redis or this process was away, and
#: heartbeats were missed on our side.
GAP_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Death:
    """An engine that has died."""

    engine: str
    heartbeat: str
    """Its entry when it was found dead; a different one later means that it lives after all."""
    cause: str


class LivenessTracker:
    """Remembers when each engine's heartbeat last changed. Every janitor observes, also those without the lease."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}
        self._observed = float("-inf")

    def observe(self, heartbeats: Mapping[str, str], now: float) -> list[Death]:
        """Return the dead engines, given every engine's entry; ``now`` in monotonic seconds."""
        if now - self._observed > GAP_SECONDS:
            self._seen.clear()
        self._observed = now
        self._seen = {engine: self._since(engine, entry, now) for engine, entry in heartbeats.items()}
        return [
            Death(engine, entry, _cause(entry))
            for engine, (entry, since) in self._seen.items()
            if not entry.isdecimal() or now - since >= SILENCE_SECONDS
        ]

    def _since(self, engine: str, entry: str, now: float) -> tuple[str, float]:
        seen = self._seen.get(engine)
        return seen if seen and seen[0] == entry else (entry, now)


def _cause(entry: str) -> str:
    return f"no heartbeat for {SILENCE_SECONDS:g} seconds" if entry.isdecimal() else entry
