"""Match events against the conditions of ``@on``."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.nexmo.family import Family

Wanted = str | Iterable[str] | None

#: Condition of ``@on`` → the event's field that it is about.
FIELDS: Final = {
    "family": "family",
    "channel": "channel",
    "status": "status",
    "application": "application_id",
    "account": "account",
    "content_type": "content_type",
}

_FAMILIES: Final = frozenset(family.value for family in Family)


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that must all hold, each a field of the event and the values that it may have, in lower case."""

    conditions: tuple[tuple[str, frozenset[str]], ...] = ()

    def matches(self, event: Event) -> bool:
        """Return whether ``event`` fulfils every condition; upper and lower case are the same."""
        return all(_lower(getattr(event, field)) in values for field, values in self.conditions)


def build(wanted: dict[str, Wanted]) -> Filter:
    """Make a filter of the conditions that are not None.

    Raises:
        TypeError: A condition is neither text nor several texts, or an empty collection, which would never match.
        ValueError: A family that does not exist.
    """
    conditions = {name: _values(name, value) for name, value in wanted.items() if value is not None}
    unknown = conditions.get("family", frozenset()) - _FAMILIES
    if unknown:
        raise ValueError(f"no family is called {min(unknown)!r}: use one of {', '.join(sorted(_FAMILIES))}")
    return Filter(tuple((FIELDS[name], values) for name, values in conditions.items()))


def _values(name: str, wanted: str | Iterable[str]) -> frozenset[str]:
    try:
        values = [wanted] if isinstance(wanted, str) else list(wanted)
    except TypeError:
        raise TypeError(f"{name}= takes a text or several, not {wanted!r}") from None
    if not values or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{name}= takes a text or several, not {wanted!r}")
    return frozenset(value.lower() for value in values)


def _lower(value: str | None) -> str | None:
    return None if value is None else value.lower()
