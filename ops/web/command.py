"""Run ``ackfirst web``: find the passwords, open the port, serve until a signal."""

import ipaddress
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import click
import structlog
import waitress
from flask import Flask
from redis.backoff import NoBackoff
from redis.retry import Retry

from ackfirst.ops.web.access import Gate, Hosts
from ackfirst.ops.web.app import create_app
from ackfirst.ops.web.credentials import Credentials, Role
from ackfirst.ops.web.password import USERNAME, VIEWER, load_or_create_password, password_source
from ackfirst.ops.web.sources import Names, Record, Sources
from ackfirst.shared import log
from ackfirst.shared.embedded import with_private_server
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.processes.parent_death import die_with_parent
from ackfirst.shared.processes.signals import SignalInbox
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.settings.types import Address

# A page says at once that Redis is away, and asks again by itself.
_NO_RETRY: Final = Retry(NoBackoff(), 0)
REDIS_TIMEOUT_SECONDS: Final = 2.0

#: Each holds a connection to the record.
_THREADS: Final = 4
#: The largest form names the ids of a page of dead letters.
_LARGEST_BODY_BYTES: Final = 64 * 1024
_GRACE_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 1.0

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """An address at which browsers reach the page."""

    url: str
    host: str
    encrypted: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL, ``HOST:PORT`` or a port on all interfaces, as docker compose writes them.

        Raises:
            ValueError: It is none of these.
        """
        if "://" in text:
            url = urlsplit(text)
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValueError("a URL must begin with http:// or https:// and name a host")
            return cls(text.rstrip("/") + "/", url.hostname, encrypted=url.scheme == "https")
        address = Address.parse(text if ":" in text else f":{text}")
        return cls(f"http://{address}/", address.host, encrypted=False)

    @property
    def is_exposed(self) -> bool:
        """True if other machines can reach it, and passwords travel in plain text."""
        if self.encrypted or self.host == "localhost":
            return False
        with suppress(ValueError):
            return not ipaddress.ip_address(self.host.partition("%")[0]).is_loopback
        return True


class _ListenAddress(click.ParamType[Address]):
    name = "host:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        try:
            return Address.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _PublishedAddress(click.ParamType[Published]):
    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Published:
        try:
            return Published.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--listen", type=_ListenAddress(), help="Address to listen on instead of ACKFIRST_WEB_LISTEN.")
@click.option(
    "--published",
    type=_PublishedAddress(),
    multiple=True,
    help="Address that browsers use, if it differs from the one that is listened on: 127.0.0.1:9181 for a published "
    "port of a container, https://ops.example.com for a proxy. Buttons work under IP addresses, localhost and the "
    "names that are given here.",
)
@click.option("--allow-delete", is_flag=True, help="Offer to delete jobs. Each one is an event that was answered 200.")
def command(listen: Address | None, published: tuple[Published, ...], *, allow_delete: bool) -> None:
    """Show in the browser what happens to messages, behind a password.

    What needs you, messages and their timelines, dead letters, the quarantine, lanes, replays and handlers;
    rq-dashboard is under /rq/. The user name is ackfirst. Without ACKFIRST_WEB_PASSWORD, the first start makes a
    password and keeps it in the file web-password of the data folder. The user viewer (ACKFIRST_WEB_VIEWER_PASSWORD)
    sees no personal data and changes nothing.
    """
    supervised = die_with_parent()
    settings = load_settings(os.environ)
    log.configure(format=settings.log_format, level=settings.log_level, personal=settings.log_personal)
    settings = with_private_server(settings, os.environ, lambda url: logger.info("redis.private-server", url=url))
    if not supervised:  # restarted while Redis is away, the page says so until Redis is back
        redis_client.reachable(settings.redis_url.get_secret_value(), timeout=REDIS_TIMEOUT_SECONDS)
    run(settings, listen or settings.web_listen, published, allow_delete=allow_delete)


def run(settings: Settings, address: Address, published: tuple[Published, ...], *, allow_delete: bool) -> None:
    """Serve the page until a signal says stop.

    Raises:
        ConfigurationError: The address is taken, or the password cannot be kept.
    """
    redis_url = settings.redis_url.get_secret_value()
    with redis_client.sync_redis(redis_url, timeout=REDIS_TIMEOUT_SECONDS, retry=_NO_RETRY) as connection:
        record = Record(settings.record_url)
        listener = _open_listener(address)
        own = Published.parse(str(Address(*listener.getsockname()[:2])))
        app = create_app(
            Sources(redis=connection, settings=settings, names=Names.read(settings), record=record),
            Gate(_users(settings), Hosts({address.host, *(place.host for place in published)})),
            allow_delete=allow_delete,
        )
        _serve(app, listener, started=lambda: _log_start(settings, published or (own,)))


def _log_start(settings: Settings, published: tuple[Published, ...]) -> None:
    logger.info(
        "web.started",
        url=published[0].url,
        user=USERNAME,
        password_in=password_source(settings, os.environ),
    )
    for place in published:
        if place.is_exposed:
            logger.warning("web.exposed", url=place.url, advice="plain HTTP: put TLS in front of it")


def _users(settings: Settings) -> list[Credentials]:
    given = settings.web_password
    password = given.get_secret_value() if given else load_or_create_password(settings.data_dir)
    users = [Credentials(USERNAME, password)]
    if settings.web_viewer_password:
        users.append(Credentials(VIEWER, settings.web_viewer_password.get_secret_value(), Role.VIEWER))
    return users


def _open_listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family)
    except (OSError, UnicodeError) as error:
        # Python adds the address to the system's words, which the sentence holds already.
        reason = str(getattr(error, "strerror", error)).partition(" (while")[0]
        raise ConfigurationError(
            f"the page cannot listen on {address}: {reason}, check ACKFIRST_WEB_LISTEN or --listen"
        ) from error


def _serve(app: Flask, listener: socket.socket, *, started: Callable[[], None]) -> None:
    """Answer requests until SIGTERM or SIGINT (main thread only); ``started`` is called when the first can come."""
    server: Any = waitress.create_server(
        app, sockets=[listener], threads=_THREADS, max_request_body_size=_LARGEST_BODY_BYTES, ident=None
    )
    # In a thread of its own: waitress's way to stop is to wait up to five seconds for a view that waits for Redis.
    loop = threading.Thread(target=server.run, name="web", daemon=True)
    with SignalInbox() as inbox:
        loop.start()
        started()
        while not inbox.stop_requests:
            inbox.wait(_POLL_SECONDS)
            if not loop.is_alive():
                raise RuntimeError("the page's server ended by itself; the log says why")
    server.task_dispatcher.shutdown(timeout=_GRACE_SECONDS)
