"""Parse Redis URLs: the supported schemes and options, and the connection arguments that they stand for. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

TCP, TLS, UNIX, SENTINEL = "redis", "rediss", "unix", "redis+sentinel"
SCHEMES: Final = (TCP, TLS, UNIX, SENTINEL)
SENTINEL_PORT: Final = 26379

#: Longest timeout that an option may name. Supervisors wait less than that for a process to stop.
LONGEST_TIMEOUT_SECONDS: Final = 60.0

_SPECIAL: Final = "the special characters of user name and password (@ / : ? # % and spaces) must be percent-encoded"


class RedisUrlError(ValueError):
    """A Redis URL cannot be used. The message says why, and never repeats a user name or password."""


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A parsed URL."""

    scheme: str
    server: Mapping[str, Any] = field(repr=False)
    """redis-py's connection arguments for the server; with Sentinel, for the master."""
    tls: bool = False
    sentinels: tuple[tuple[str, int], ...] = ()
    """Host and port of each Sentinel."""
    service: str = ""
    """The master's name as the Sentinels know it."""
    sentinel: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """redis-py's connection arguments for the Sentinels."""


def parse(url: str) -> RedisUrl:
    """Parse ``redis://``, ``rediss://``, ``unix://`` or ``redis+sentinel://``; ``docs/settings.md`` lists the forms.

    Raises:
        RedisUrlError: The form, an option or a value is not supported.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise RedisUrlError(f"the URL must begin with {', '.join(f'{name}://' for name in SCHEMES)}")
    try:
        parts = _split_sentinels(url) if scheme == SENTINEL else urlsplit(url)
        # The rest of a password that was cut in two would be taken for options, and repeated in a message.
        is_cut = "#" in url or "@" in parts.query
        parsed = None if is_cut else _parsed(scheme, parts)
    except RedisUrlError:
        raise
    except ValueError:  # urlsplit's own message may hold a part of the password
        raise RedisUrlError(f"host and port cannot be read: use host:port; {_SPECIAL}") from None
    if parsed is None:
        raise RedisUrlError(_SPECIAL)
    return parsed


def _split_sentinels(url: str) -> SplitResult:
    """Split a URL with several hosts: newer releases of Python refuse brackets that do not begin the authority."""
    scheme, _, rest = url.partition("://")
    end = next((at for at, letter in enumerate(rest) if letter in "/?#"), len(rest))
    return urlsplit(f"{scheme}://{rest[end:]}")._replace(netloc=rest[:end])


def _parsed(scheme: str, parts: SplitResult) -> RedisUrl:
    options = _options(scheme, parts.query)
    return _sentinel(parts, options) if scheme == SENTINEL else _server(scheme, parts, options)


def _server(scheme: str, parts: SplitResult, options: dict[str, Any]) -> RedisUrl:
    arguments = _credentials(parts.username, parts.password)
    if scheme == UNIX:
        if parts.hostname:
            raise RedisUrlError("a unix URL has three slashes: unix:///path/to/socket")
        if parts.path in ("", "/"):
            raise RedisUrlError("a unix URL names the socket: unix:///path/to/socket")
        arguments["path"] = unquote(parts.path)
    else:
        arguments["host"] = unquote(parts.hostname or "localhost")
        arguments["port"] = parts.port or 6379
        if (database := parts.path.removeprefix("/")) != "":
            arguments["db"] = _number(
                database, f"the database after the host must be a number, as in {scheme}://host/0"
            )
    if twice := sorted(arguments.keys() & options.keys()):
        raise RedisUrlError(f"{twice[0]!r} stands in the URL twice: before and after the question mark")
    return RedisUrl(scheme, {**arguments, **options}, tls=scheme == TLS)


def _sentinel(parts: SplitResult, options: dict[str, Any]) -> RedisUrl:
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    service, _, database = parts.path.removeprefix("/").partition("/")
    if not service:
        raise RedisUrlError(
            "a redis+sentinel URL names the service after the hosts: redis+sentinel://host:26379/mymaster/0"
        )
    tls = options.pop("ssl", False)
    if not tls and (unused := next((option for option in options if option in _OF_TLS), None)):
        raise RedisUrlError(f"{unused!r} has no effect without ssl=true in a redis+sentinel URL")
    sentinel = {
        own: options.pop(option)
        for option, own in (("sentinel_username", "username"), ("sentinel_password", "password"))
        if option in options
    }
    database_error = "the database after the service must be a number, as in redis+sentinel://host/mymaster/0"
    master = {**_credentials(name, password), "db": _number(database, database_error) if database else 0}
    shared = {**options, **({"ssl": True} if tls else {})}
    return RedisUrl(
        SENTINEL,
        {**master, **shared},
        tls=tls,
        sentinels=tuple(_host(text) for text in hosts.split(",")),
        service=unquote(service),
        sentinel={**sentinel, **shared},
    )


def _host(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        raise RedisUrlError(f"a redis+sentinel URL lists its hosts as host:port,host:port; {_SPECIAL}")
    return host, port or SENTINEL_PORT


def _credentials(name: str | None, password: str | None) -> dict[str, Any]:
    return {key: unquote(value) for key, value in (("username", name), ("password", password)) if value}


def _options(scheme: str, query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        convert = OPTIONS[scheme].get(name)
        if convert is None:
            supported = ", ".join(OPTIONS[scheme])
            shown = repr(name) if name.replace("_", "").isalpha() else "what follows the question mark"
            raise RedisUrlError(f"{shown} is not an option of a {scheme}:// URL; supported are {supported}")
        if name in options:
            raise RedisUrlError(f"{name!r} stands in the URL twice")
        try:
            options[name] = convert(text)
        except ValueError as error:
            raise RedisUrlError(f"{name!r} must be {error}") from None
    return options


def _number(text: str, problem: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise RedisUrlError(problem)
    return int(text)


def _text(text: str) -> str:
    if not text:
        raise ValueError("a text")
    return text


def _name(text: str) -> str:
    if not text or not text.isprintable() or " " in text:
        raise ValueError("a name without spaces")
    return text


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("a number")
    return int(text)


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_TIMEOUT_SECONDS:
        raise ValueError(f"seconds, more than 0 and at most {LONGEST_TIMEOUT_SECONDS:g}")
    return seconds


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError("true or false")
    return text.lower() in ("true", "1")


def _verification(text: str) -> str:
    if text not in ("required", "none"):
        raise ValueError("required or none")
    return text


_Converters = Mapping[str, Callable[[str], Any]]

_OF_ALL: Final[_Converters] = {"client_name": _name, "socket_timeout": _timeout, "socket_connect_timeout": _timeout}
_OF_SERVERS: Final[_Converters] = {"db": _database, "username": _text, "password": _text, **_OF_ALL}
_OF_TLS: Final[_Converters] = {
    "ssl_ca_certs": _text,
    "ssl_certfile": _text,
    "ssl_keyfile": _text,
    "ssl_cert_reqs": _verification,
    "ssl_check_hostname": _switch,
}

#: Scheme → supported option → converter of its value. Others of redis-py break promises in ways that show late:
#: ``decode_responses`` ends engines, ``max_connections=1`` keeps them waiting for ever.
OPTIONS: Final[Mapping[str, _Converters]] = MappingProxyType(
    {
        TCP: _OF_SERVERS,
        TLS: {**_OF_SERVERS, **_OF_TLS},
        UNIX: _OF_SERVERS,
        SENTINEL: {"sentinel_username": _text, "sentinel_password": _text, "ssl": _switch, **_OF_ALL, **_OF_TLS},
    }
)
