"""Parse the kinds of setting that Python has no type for: addresses, durations, lists in one line, secrets."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from ackfirst.shared.redis import url as redis_url

#: Ten years: a longer duration is a typing error, and Redis refuses expiries that overflow.
LONGEST_SECONDS: Final = 315_360_000

#: Value of a store's URL that switches the record off.
OFF: Final = "off"

SHORTEST_KEEP_SECONDS: Final = 3600

#: What editors and shells on Windows leave around a value: the byte order mark and line ends.
_AROUND: Final = "\ufeff\r\n"

_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|m|h|d)?", re.ASCII)
_LARGEST_PORT: Final = 65535
_STORE_URL: Final = re.compile(r"sqlite:///.|postgres(ql)?://[^/]*/.")


@dataclass(frozen=True, slots=True)
class Address:
    """An address that a server listens on."""

    host: str
    """Name or number, without brackets."""
    port: int
    """0 lets the system choose one."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``host:port``, ``[::1]:port`` or ``:port`` (all IPv4 interfaces).

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
        return cls(host or "0.0.0.0", int(port))  # noqa: S104 - the usual meaning of ":8080"

    def local(self) -> Self:
        """Return an address by which this machine reaches the server, also when it listens on all interfaces."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return type(self)(host, self.port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def seconds(value: Any) -> Any:
    """Convert ``90``, ``90s``, ``1.5m``, ``250ms``, ``2h`` or ``7d`` to seconds; return anything but text unchanged.

    Raises:
        ValueError: The text is not a duration.
    """
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError("use seconds or a number with ms, s, m, h or d, for example 30s")
    return round(float(match[1]) * _UNITS[match[2] or ""], 6)


def _address(value: Any) -> Any:
    return Address.parse(value) if isinstance(value, str) else value


def _addresses(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    addresses = tuple(Address.parse(part) for part in value.split(",") if part.strip())
    if not addresses:
        raise ValueError("use HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080")
    if len(set(addresses)) != len(addresses):
        raise ValueError("an address stands in the list twice")
    return addresses


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def lower(value: Any) -> Any:
    """Convert text to lower case; return anything else unchanged."""
    return value.lower() if isinstance(value, str) else value


def stripped(value: Any) -> Any:
    """Remove spaces around text; return anything else unchanged."""
    return value.strip() if isinstance(value, str) else value


def expanded(path: Path) -> Path:
    """Replace a leading ``~`` by the home folder, for values that no shell has read.

    Raises:
        ValueError: There is no such home folder.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("the home folder of ~ is not known on this machine") from None


def without_line_ends(value: Any) -> Any:
    """Remove a byte order mark and line ends around a text: a file saved on Windows must not spoil a secret."""
    return value.strip(_AROUND) if isinstance(value, str) else value


def _not_blank(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("the value is blank")
    return secret


def doubt(secret: str) -> str | None:
    """Describe what makes a secret look mistyped, without repeating it; None if it looks well.

    Such a secret is used as it is: a provider may have given it. If it is wrong, every callback of the account is
    quarantined, and only this tells why.
    """
    if secret != secret.strip():
        return "it begins or ends with a space"
    if len(secret) > 1 and secret[0] == secret[-1] and secret[0] in "'\"":
        return "it is in quotation marks"
    if not secret.isprintable() or "\N{NO-BREAK SPACE}" in secret:
        return "it holds an invisible character"
    if secret.startswith(("${", "$(", "<")) or "REPLACE" in secret:
        return "it looks like a placeholder"
    return None


def supported_redis_url(url: SecretStr) -> SecretStr:
    """Refuse a Redis URL that we do not support; the message never repeats the value, which may hold a password."""
    redis_url.parse(url.get_secret_value())
    return url


def supported_store_url(url: SecretStr) -> SecretStr:
    """Refuse a URL of a store that we do not support; the message never repeats the value, which may hold a password.

    Raises:
        ValueError: It is neither ``off`` nor a URL of SQLite or PostgreSQL that names a database.
    """
    text = url.get_secret_value()
    if text != OFF and not _STORE_URL.match(text):
        raise ValueError("use postgresql://user@host/name, sqlite:///path/of/file or off")
    return url


def long_enough_to_keep(span: int) -> int:
    """Refuse to keep the record for less than an hour: ``90`` for 90 days would delete all but the newest minute.

    Raises:
        ValueError: It is shorter.
    """
    if span < SHORTEST_KEEP_SECONDS:
        raise ValueError("use at least 1h; for days write a d, for example 90d")
    return span


def module_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse names that Python cannot import, such as the path of a file."""
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"{name!r} is not the dotted name of a module, such as myapp.callbacks")
    return names


Secret = Annotated[SecretStr, BeforeValidator(without_line_ends), AfterValidator(_not_blank)]
ListenAddress = Annotated[Address, BeforeValidator(_address)]
ListenAddresses = Annotated[tuple[Address, ...], BeforeValidator(_addresses)]
Seconds = Annotated[float, BeforeValidator(seconds), Field(le=LONGEST_SECONDS)]
WholeSeconds = Annotated[int, BeforeValidator(seconds), Field(le=LONGEST_SECONDS)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Durations = Annotated[tuple[WholeSeconds, ...], BeforeValidator(_split)]
