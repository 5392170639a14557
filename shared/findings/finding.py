"""Define a finding: the result of a check, its severity and its remedy."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """The severity of a finding."""

    ERROR = "error"
    """Callbacks are refused, lost or not worked on, or could be."""
    WARNING = "warning"
    """Everything works; something will not, or has not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    id: str
    """Stable, such as ``redis-fsync``: a key of ``CATALOGUE``, and an anchor in ``docs/operating.md``."""
    level: Level
    what: str
    """What was found, and what it means for callbacks."""
    fix: str
    """The command or the setting that helps."""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as JSON: ``id``, ``level``, ``what``, ``fix``."""
        return {**asdict(self), "level": self.level.value}


Findings = Iterator[Finding]


def error(id_: str, what: str, fix: str) -> Finding:
    """Return a finding that needs a person now."""
    return Finding(id_, Level.ERROR, what, fix)


def warning(id_: str, what: str, fix: str) -> Finding:
    """Return a finding that needs a person some time."""
    return Finding(id_, Level.WARNING, what, fix)
