"""``redis+sentinel://`` URLs, which redis-py has no reader for."""

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEME: Final = "redis+sentinel://"
DEFAULT_PORT: Final = 26379

_FOR_SENTINEL: Final = {"sentinel_username": "username", "sentinel_password": "password"}
_FOR_BOTH: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


class UrlError(ValueError):
    """A Redis URL cannot be used. The message says why and holds nothing secret."""


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """Who to ask for the master, and how to talk to it."""

    hosts: list[tuple[str, int]]
    service: str
    """Name of the master as the Sentinels know it."""
    master: dict[str, Any] = field(repr=False)
    """Connection arguments for the master: db, username, password, TLS."""
    sentinel: dict[str, Any] = field(repr=False)
    """Connection arguments for the Sentinels: username, password, TLS."""


def parse(url: str) -> SentinelUrl:
    """Read ``redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/service[/db][?option=…]``.

    User and password are the master's. Options: ``sentinel_username``, ``sentinel_password``, ``ssl=true`` (TLS to
    the Sentinels and to the master), ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile`` (paths). Special characters
    of all parts are percent-encoded.

    Raises:
        UrlError: It is not such a URL. The message never repeats a password.
    """
    address, _, query = url.removeprefix(SCHEME).partition("?")
    authority, _, path = address.partition("/")
    user, _, hosts = authority.rpartition("@")
    service, _, db = path.partition("/")
    if not service:
        raise UrlError("a redis+sentinel URL names the service after the hosts: redis+sentinel://host:26379/mymaster/0")
    master, sentinel = _options(query)
    master.update(_user(user), db=_database(db))
    return SentinelUrl([_host(part) for part in hosts.split(",")], unquote(service), master, sentinel)


def _host(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        raise UrlError("a redis+sentinel URL lists its hosts as host:port,host:port")
    return host, port or DEFAULT_PORT


def _user(text: str) -> dict[str, Any]:
    name, _, password = text.partition(":")
    return {key: unquote(value) for key, value in (("username", name), ("password", password)) if value}


def _database(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise UrlError("the database after the service of a redis+sentinel URL must be a number")
    return int(text)


def _options(query: str) -> tuple[dict[str, Any], dict[str, Any]]:
    master: dict[str, Any] = {}
    sentinel: dict[str, Any] = {}
    for name, value in parse_qsl(query):
        if name in _FOR_SENTINEL:
            sentinel[_FOR_SENTINEL[name]] = value
        elif name in _FOR_BOTH:
            master[name] = sentinel[name] = value
        elif name == "ssl":
            master[name] = sentinel[name] = value.lower() in ("1", "true", "yes", "on")
        else:
            raise UrlError(f"{name!r} is not an option of a redis+sentinel URL")
    return master, sentinel
