"""Tells dead engines from living ones by their beats, without trust in any clock but its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: Seconds without a beat after which an engine is dead. Beats come every second, from outside the engine where it has
#: a supervisor: a handler that lets nothing else run in its process does not look dead.
SILENCE: Final = 7.0
#: Seconds between two looks after which the second is a first one: Redis, or we, were away, and beats were not seen.
GAP: Final = 3.0


@dataclass(frozen=True, slots=True)
class Death:
    """An engine that does not live any more."""

    engine: str
    beat: str
    """Its entry when it was found dead; another one later means that it lives after all."""
    cause: str


class Watch:
    """What one observer has seen of the beats so far. Every janitor watches, whoever's turn it is to act."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}
        self._looked = float("-inf")

    def look(self, beats: Mapping[str, str], now: float) -> list[Death]:
        """The engines that are dead, given every engine's entry; ``now`` in monotonic seconds."""
        if now - self._looked > GAP:
            self._seen.clear()
        self._looked = now
        self._seen = {engine: self._since(engine, beat, now) for engine, beat in beats.items()}
        return [
            Death(engine, beat, _cause(beat))
            for engine, (beat, since) in self._seen.items()
            if not beat.isdecimal() or now - since >= SILENCE
        ]

    def _since(self, engine: str, beat: str, now: float) -> tuple[str, float]:
        seen = self._seen.get(engine)
        return seen if seen and seen[0] == beat else (beat, now)


def _cause(beat: str) -> str:
    return f"no sign of life for {SILENCE:g} seconds" if beat.isdecimal() else beat
