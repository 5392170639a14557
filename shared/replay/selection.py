"""Choose the events of a replay: by their ids, or by a filter with a fixed range of time."""

from dataclasses import asdict, replace
from typing import Any, Final, Self

import orjson

from ackfirst.shared.record import field_names, named_record
from ackfirst.shared.store import EventFilter

#: Events that may be named one by one; more are chosen by a filter.
MOST_NAMED: Final = 1_000


@named_record
class Selection:
    """Which events. Resolved: it does not depend on when it is read."""

    events: tuple[str, ...] = ()
    """Ids, in the order in which they run; empty to use the filter."""
    filter: EventFilter = EventFilter()

    def encode(self) -> str:
        """Write it as JSON, for ``Replay.filter``."""
        if self.events:
            return orjson.dumps({"events": self.events}).decode()
        given = {name: value for name, value in asdict(self.filter).items() if value is not None}
        return orjson.dumps({"filter": given}).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what ``encode`` wrote.

        Raises:
            ValueError: It is something else, or names a field that this release does not know: to leave it out would
                replay events that were not chosen.
        """
        fields: Any = orjson.loads(text)
        match fields:
            case {"events": [str(), *_] as events}:
                return cls(events=tuple(events))
            case {"filter": dict(given)} if given.keys() <= set(field_names(EventFilter)):
                return cls(filter=EventFilter(**given))
        raise ValueError(f"not a selection of events: {text[:200]}")

    def until(self, now: float) -> Self:
        """Fix the end of its range: what is received after ``now`` is not part of it."""
        if self.events:
            return self
        until = now if self.filter.until is None else min(now, self.filter.until)
        return replace(self, filter=replace(self.filter, until=until))
