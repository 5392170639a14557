"""Define values that are made thousands of times a second: frozen for mypy, not for the interpreter.

A frozen dataclass sets each field through ``object.__setattr__``, which takes eight times as long: 2.7 instead of
0.3 us for 20 fields, and a callback makes half a dozen of them. Code that changes a record fails in ``make lint``.
"""

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

Kind = TypeVar("Kind")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(kind: type[Kind]) -> type[Kind]:
    """Make a class of fields, which is compared and hashed by them."""
    return dataclass(slots=True, unsafe_hash=True)(kind)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def named_record(kind: type[Kind]) -> type[Kind]:
    """Make such a class whose fields are given by name."""
    return dataclass(slots=True, unsafe_hash=True, kw_only=True)(kind)


def field_names(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of a record's fields, in their order."""
    return tuple(one.name for one in fields(kind))
