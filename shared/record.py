"""Values that pass from step to step, made thousands of times a second: frozen for mypy, not in the interpreter.

A frozen dataclass sets each field through ``object.__setattr__``, which takes twice as long. Whoever would change a
record is told by ``make lint`` instead of by an exception.
"""

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

Kind = TypeVar("Kind")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(kind: type[Kind]) -> type[Kind]:
    """A class with fields, compared by them."""
    return dataclass(slots=True, unsafe_hash=True)(kind)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def named_record(kind: type[Kind]) -> type[Kind]:
    """The same, whose fields are given by name."""
    return dataclass(slots=True, unsafe_hash=True, kw_only=True)(kind)


def field_names(kind: type[Any]) -> tuple[str, ...]:
    """The names of a record's fields, in their order."""
    return tuple(one.name for one in fields(kind))
