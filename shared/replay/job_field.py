"""The field of a job that says which replay queued it, and which handlers are to run."""

from typing import Self

import orjson

from ackfirst.shared.record import record


@record
class JobReplay:
    """The replay that has queued a job."""

    id: str
    handlers: tuple[str, ...] | None = None
    """Only these run; None for all that match the event and are not finished."""
    fresh: bool = False
    """Whether the handlers get idempotency keys that no earlier run has used."""
    was: str = ""
    """The event's state before, which it keeps if no handler in ``handlers`` matches it; empty if it is not known."""

    def encode(self) -> str:
        """Write it as the JSON of the job's field."""
        fields = {"id": self.id, "handlers": self.handlers, "fresh": self.fresh, "was": self.was}
        return orjson.dumps(fields).decode()

    @classmethod
    def decode(cls, encoded: bytes | str | None) -> Self | None:
        """Read the job's field; None for a job that no replay has queued, and for what is no such field."""
        if not encoded:
            return None
        try:
            match orjson.loads(encoded):
                case {"id": str(replay_id), "handlers": list() | None as handlers, "fresh": bool(fresh), **others}:
                    names = None if handlers is None else tuple(map(str, handlers))
                    return cls(replay_id, names, fresh, str(others.get("was", "")))
        except orjson.JSONDecodeError:
            pass
        return None

    def runs(self, handler: str) -> bool:
        """Return whether this replay is to run a handler that matches the event."""
        return self.handlers is None or handler in self.handlers
