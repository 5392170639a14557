"""Kinds of setting that Python has no type for: an address, a duration, a list in one line."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

REDIS_SCHEMES: Final = ("redis://", "rediss://", "unix://", "redis+sentinel://")

#: Ten years in seconds: above it a duration is a slip of the pen, and Redis refuses expiries that overflow.
LONGEST: Final = 315_360_000

_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|m|h|d)?", re.ASCII)
_LARGEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    """Name or number, without brackets."""
    port: int
    """0 lets the system choose one."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``host:port``, ``[::1]:port`` or ``:port`` (all IPv4 interfaces).

        Raises:
            ValueError: It is none of these, or the port is not 0 to 65535.
        """
        host, colon, port = text.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host or not colon:
            raise ValueError("use HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080")
        if not (port.isascii() and port.isdigit()) or int(port) > _LARGEST_PORT:
            raise ValueError("the port after the last colon must be 0 to 65535")
        return cls(host or "0.0.0.0", int(port))  # noqa: S104 - what ":8080" means to everybody

    def local(self) -> Self:
        """Where to find it from this machine: a server on all interfaces has no address of that name."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - to be told from others
        return type(self)(host, self.port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def seconds(value: Any) -> Any:
    """Seconds of ``90``, ``90s``, ``1.5m``, ``250ms``, ``2h`` or ``7d``; what is no text stays as it is.

    Raises:
        ValueError: The text is no such duration.
    """
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError("use seconds or a number with ms, s, m, h or d, for example 30s")
    return round(float(match[1]) * _UNITS[match[2] or ""], 6)


def _address(value: Any) -> Any:
    return Address.parse(value) if isinstance(value, str) else value


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def lower(value: Any) -> Any:
    """Text in lower case; what is no text stays as it is."""
    return value.lower() if isinstance(value, str) else value


def expanded(path: Path) -> Path:
    """A leading ``~`` is the home folder, also where no shell has read the value."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("the home folder of ~ is not known on this machine") from None


def not_blank(secret: SecretStr) -> SecretStr:
    """Refuse a secret without a visible character."""
    if not secret.get_secret_value().strip():
        raise ValueError("the value is blank")
    return secret


def redis_scheme(url: SecretStr) -> SecretStr:
    """Refuse a URL that is of no known kind; the value is not repeated, it may hold a password."""
    if not url.get_secret_value().startswith(REDIS_SCHEMES):
        raise ValueError(f"the URL must begin with {', '.join(REDIS_SCHEMES[:-1])} or {REDIS_SCHEMES[-1]}")
    return url


def module_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what Python could not import, such as the path of a file."""
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"{name!r} is not the dotted name of a module, such as myapp.callbacks")
    return names


def user_name(name: str) -> str:
    """Refuse a name that HTTP basic authentication cannot carry (RFC 7617)."""
    if not name or ":" in name:
        raise ValueError("a user name must not be empty or hold a colon")
    return name


Secret = Annotated[SecretStr, AfterValidator(not_blank)]
ListenAddress = Annotated[Address, BeforeValidator(_address)]
Seconds = Annotated[float, BeforeValidator(seconds), Field(le=LONGEST)]
WholeSeconds = Annotated[int, BeforeValidator(seconds), Field(le=LONGEST)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Durations = Annotated[tuple[WholeSeconds, ...], BeforeValidator(_split)]
