"""``ackfirst dev``: a private queue, ingest, worker and the page in one terminal, for as long as it is open."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Final, Never, Protocol

import click
import structlog

from ackfirst.ops.banner import banner
from ackfirst.ops.doctor.configuration import import_error
from ackfirst.ops.public_side import PublicSide, public_side
from ackfirst.shared import log, masking
from ackfirst.shared.embedded import EmbeddedServer
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.processes.child import Child
from ackfirst.shared.processes.periodic import PeriodicThread
from ackfirst.shared.processes.signals import STOP_SIGNALS
from ackfirst.shared.processes.supervisor import Supervisor, reexec
from ackfirst.shared.redis.client import reachable
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.shared.settings.files import protect_files

#: What a command gets beyond its own grace before it is killed: it may be a supervisor itself.
KILL_MARGIN_SECONDS: Final = 5.0

HEALTH_TIMEOUT_SECONDS: Final = 1.0
READY_CHECK_SECONDS: Final = 0.2
RESTART_CHECK_SECONDS: Final = 1.0


@click.command()
@click.option(
    "--tunnel",
    is_flag=False,
    flag_value="auto",
    metavar="[auto|ngrok|cloudflared|URL]",
    help="Make ingest reachable for Nexmo: with an agent of yours, or by the URL of a tunnel that you keep.",
)
@click.option(
    "--set-webhooks",
    "borrowed",
    multiple=True,
    metavar="APP",
    help="Point this application at the tunnel, and put its own URLs back at the end. [repeatable]",
)
def command(*, tunnel: str | None, borrowed: tuple[str, ...]) -> None:
    """Run a private queue, ingest, worker and the operator's page in this terminal.

    The queue is a Valkey of its own that keeps its data in the data folder, unless ACKFIRST_REDIS_URL names another
    one. In a second terminal in the same folder, the other commands find it by themselves. Ctrl-C stops everything in
    order; a second Ctrl-C does not wait for handlers that still run.
    """
    if borrowed and not tunnel:
        raise click.UsageError("--set-webhooks needs --tunnel")
    settings = load_settings(os.environ)
    log.configure(format=settings.log_format, level=settings.log_level, personal=settings.log_personal)
    protect_files(settings, structlog.get_logger())
    # Until the supervisor takes over, and again while the queue stops: leave through every ``with`` block.
    for signum in STOP_SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _leave)
    with public_side(settings, load_accounts(settings), tunnel=tunnel, borrowed=borrowed) as public:
        sys.exit(_on_given_redis(settings, public) if settings.redis_url_given else _on_own_redis(settings, public))


def _on_given_redis(settings: Settings, public: PublicSide) -> int:
    address = settings.redis_url.get_secret_value()
    reachable(address)
    return _run(settings, public, queue=masking.url(address), env={}, server=None)


def _on_own_redis(settings: Settings, public: PublicSide) -> int:
    with EmbeddedServer(settings.data_dir) as server:
        state = "found running" if server.adopted else "started for this run"
        queue = f"{server.url} (process {server.pid}, {state})"
        return _run(settings, public, queue=queue, env={"ACKFIRST_REDIS_URL": server.url}, server=server)


def _run(
    settings: Settings, public: PublicSide, *, queue: str, env: dict[str, str], server: EmbeddedServer | None
) -> int:
    logger = structlog.get_logger()
    check_ports_free(settings)
    check_handlers(settings, env)
    text = banner(settings, load_accounts(settings), os.environ, queue=queue, public=public.rows())

    def ready() -> None:
        click.echo(text)
        public.borrow()

    # Both: another server on one of the ports must not pass for ingest, which is about to say that the port is in use.
    places = [(address.local().host, address.port) for address in (*settings.listen, settings.admin_listen)]
    # Ingest, then workers, then the page: the order in which they are stopped.
    worker = ("worker",) if settings.handlers else ("worker", "--record-only")
    children = [
        Child(name=argv[0], argv=reexec(*argv), env=env, stage=stage)
        for stage, argv in enumerate((("ingest",), worker, ("web",)))
    ]
    with contextlib.ExitStack() as tasks:
        announcement = announce_when_healthy(places, ready)
        tasks.enter_context(PeriodicThread(announcement, seconds=READY_CHECK_SECONDS))
        tasks.enter_context(PeriodicThread(public.look, seconds=1.0))
        if server:
            tasks.enter_context(PeriodicThread(restart_if_dead(server, logger), seconds=RESTART_CHECK_SECONDS))
        return Supervisor(children, grace=settings.stop_grace + KILL_MARGIN_SECONDS, log=logger).run()


def _leave(_signum: int, _frame: FrameType | None) -> Never:
    raise SystemExit(0)


def check_handlers(settings: Settings, env: Mapping[str, str]) -> None:
    """Import the modules of handlers once: the error of one that cannot be is not to stand between other lines.

    ``env`` is what workers get beside this process's environment.

    Raises:
        ConfigurationError: One cannot be imported.
    """
    for module in settings.handlers:
        with contextlib.suppress(subprocess.TimeoutExpired):  # a slow one is the worker's to wait for
            if (why := import_error(module, env=env)) is not None:
                check = "" if ".py:" in why else ", check ACKFIRST_HANDLERS"
                raise ConfigurationError(f"the module of handlers {module} cannot be imported: {why}{check}")


def check_ports_free(settings: Settings) -> None:
    """Try to listen on each address once. Otherwise another ackfirst there would be taken for the one that starts.

    Raises:
        ConfigurationError: An address cannot be listened on, most often because another process does.
    """
    addresses = [("listen", address) for address in settings.listen]
    addresses += [("admin_listen", settings.admin_listen), ("web_listen", settings.web_listen)]
    for setting, address in addresses:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            socket.create_server((address.host, address.port), family=family).close()
        except (OSError, UnicodeError) as error:
            number = getattr(error, "errno", None)
            why = os.strerror(number).lower() if number and number > 0 else str(error)
            raise ConfigurationError(f"cannot listen on {address}: {why}, check ACKFIRST_{setting.upper()}") from error


def announce_when_healthy(places: Sequence[tuple[str, int]], announce: Callable[[], None]) -> Callable[[], bool]:
    """Make a task that calls ``announce`` once ``/healthz`` answers 200 at each of ``places`` (host, port)."""

    def task() -> bool:
        healthy = all(is_healthy(host, port) for host, port in places)
        if healthy:
            announce()
        return healthy

    return task


def is_healthy(host: str, port: int) -> bool:
    """Return whether ``GET /healthz`` is answered with 200 there."""
    connection = http.client.HTTPConnection(host, port, timeout=HEALTH_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def warning(self, event: str, /, **fields: Any) -> Any:
        """Write a line that somebody should look at."""


def restart_if_dead(server: EmbeddedServer, log: Log) -> Callable[[], bool]:
    """Make a task that starts the embedded server again when it has died."""

    def task() -> bool:
        try:
            if server.restart_if_dead():
                log.warning("queue.restarted", pid=server.pid)
        except ConfigurationError as error:
            log.warning("queue.restart-failed", error=str(error))
        return False

    return task
