"""Write the table of ``docs/settings.md`` from the settings model."""

from enum import Enum

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ackfirst.shared.settings import SECRETS, Settings
from ackfirst.shared.settings.environment import variable

_UNITS = {
    "s": ("_age", "_deadline", "_grace", "_keep", "_schedule", "_seconds", "_timeout", "_ttl"),
    "bytes": ("_bytes",),
    "threads": ("threads",),
    "replicas": ("replicas",),
}
_LONGER = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def table() -> str:
    """Build the table in Markdown, one row a setting, in the order of the model."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join(["| name | default | unit | meaning |", "| --- | --- | --- | --- |", *rows])


def unit(name: str) -> str:
    """Return the unit of a setting, by the end of its name; empty if it is not a quantity."""
    return next((unit for unit, suffixes in _UNITS.items() if name.endswith(suffixes)), "")


def default(name: str) -> str:
    """Format the default of a setting as one would write it; empty if there is none."""
    return _words(Settings.model_fields[name].default, unit(name))


def _row(name: str, field: FieldInfo) -> str:
    value = default(name)
    file = " Also as `…_FILE`." if name in SECRETS else ""
    cells = (f"`{variable(name)}`", value and f"`{value}`", unit(name), f"{field.description}{file}")
    return f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|"


def _words(value: object, measured_in: str) -> str:
    if isinstance(value, tuple):
        return ",".join(_words(part, measured_in) for part in value)
    if isinstance(value, int | float) and measured_in == "s":
        return _spell(value)
    return _text(value)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool() | float():
            return f"{value:g}"
        case SecretStr():
            return value.get_secret_value()
        case Enum():
            return str(value.value)
        case _:
            return str(value)


def _spell(value: float) -> str:
    """Format with the largest unit that leaves a whole number: ``3d``, ``2m``, ``0.25s``."""
    letter, size = next((pair for pair in _LONGER if value % pair[1] == 0), ("s", 1))
    return f"{value / size:g}{letter}"
