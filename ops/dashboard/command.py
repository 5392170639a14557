"""``ackfirst dashboard``: queues, jobs and workers in the browser."""

import os
import socket
from typing import Final

import click
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from ackfirst.ops.dashboard import password, server
from ackfirst.ops.dashboard.app import create_app
from ackfirst.ops.dashboard.guard import Credentials
from ackfirst.shared import log, masking
from ackfirst.shared.processes.parent_death import die_with_parent
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.settings.types import Address

#: Seconds that a page waits for Redis before it says so.
REDIS_TIMEOUT: Final = 2.0

# A page says at once that Redis is away, and asks again by itself.
_NO_RETRY: Final = Retry(NoBackoff(), 0)

logger = structlog.get_logger(__name__)


class _ListenAddress(click.ParamType[Address]):
    name = "host:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        if isinstance(value, Address):
            return value
        try:
            return Address.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--listen", type=_ListenAddress(), help="Address to serve on instead of ACKFIRST_DASHBOARD_LISTEN.")
def command(listen: Address | None) -> None:
    """Serve queues, jobs and workers to the browser (rq-dashboard, behind a password).

    Without ACKFIRST_DASHBOARD_PASSWORD a password is made at the first start and kept in the file
    dashboard-password of the data folder; the user name is ackfirst.
    """
    die_with_parent()
    settings = load_settings(os.environ)
    log.configure(format=settings.log_format, level=settings.log_level, personal=settings.log_personal)
    run(settings, listen or settings.dashboard_listen)


def run(settings: Settings, address: Address) -> None:
    """Serve the dashboard until a signal says stop.

    Raises:
        ConfigurationError: Redis does not answer, the address is taken, or the password cannot be kept.
    """
    url = settings.redis_url.get_secret_value()
    redis_client.reachable(url, timeout=REDIS_TIMEOUT)
    with redis_client.sync_redis(url, timeout=REDIS_TIMEOUT, retry=_NO_RETRY) as connection:
        listener = server.listen(address)
        app = create_app(
            connection,
            redis_name=masking.url(url),
            credentials=_credentials(settings),
            personal=settings.log_personal,
        )
        server.serve(app, listener, started=lambda: _say_where(settings, listener))


def _credentials(settings: Settings) -> Credentials:
    given = settings.dashboard_password
    secret = given.get_secret_value() if given else password.kept_in(settings.data_dir)
    return Credentials(password.USERNAME, secret)


def _say_where(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    address = Address(host, port)
    given = settings.dashboard_password is not None
    logger.info(
        "dashboard.started",
        url=f"http://{address}/",
        user=password.USERNAME,
        password_in="ACKFIRST_DASHBOARD_PASSWORD" if given else str(password.path_in(settings.data_dir)),
    )
    if server.is_exposed(host):
        logger.warning("dashboard.exposed", listen=str(address), advice="plain HTTP: put TLS in front of it")
