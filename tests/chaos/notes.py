"""Notes of handled events, written by handlers outside Redis, so that a lost queue does not lose them."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Notes:
    """Event → when a handler finished it, by ``time.monotonic``, which all processes of a machine share."""

    finished: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def after(self, event: str, moment: float) -> float | None:
        """Seconds from ``moment`` to the next time that the event was finished; None where it never was."""
        return min((when - moment for when in self.finished.get(event, ()) if when > moment), default=None)

    @property
    def again(self) -> int:
        """How many events were finished more than once."""
        return sum(len(times) > 1 for times in self.finished.values())


def read(file: Path) -> Notes:
    """Whole lines only: a process may be writing."""
    notes = Notes()
    if file.exists():
        text = file.read_text()
        for line in text[: text.rfind("\n") + 1].splitlines():
            event_id, when = line.split()
            notes.finished[event_id].append(float(when))
    return notes
