"""``ackfirst dev``: a private queue, ingest, worker and dashboard in one terminal, for as long as it is open."""

import contextlib
import os
import signal
import sys
from types import FrameType
from typing import Never

import click
import structlog

from ackfirst.ops.banner import banner
from ackfirst.ops.ports import check_free
from ackfirst.ops.watch import Watch, announce, revive
from ackfirst.shared import log, masking
from ackfirst.shared.embedded import EmbeddedServer
from ackfirst.shared.processes.signals import STOP_SIGNALS
from ackfirst.shared.processes.supervisor import Child, Supervisor, reexec
from ackfirst.shared.redis.client import reachable
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.shared.settings.files import protect_files

#: Seconds that a command has beyond its own grace, before it is killed: it may be a supervisor itself.
MARGIN = 5.0


@click.command()
def command() -> None:
    """Run a private queue, ingest, worker and dashboard in this terminal.

    The queue is a server of its own with its data in the data folder, unless ACKFIRST_REDIS_URL names one. Ctrl-C
    stops everything in order; a second Ctrl-C does not wait for work that is still going on.
    """
    settings = load_settings(os.environ)
    log.configure(format=settings.log_format, level=settings.log_level, personal=settings.log_personal)
    protect_files(settings, structlog.get_logger())
    # Until the supervisor takes over, and again while the queue stops: leave through every ``with`` block.
    for signum in STOP_SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _leave)
    sys.exit(_on_given_redis(settings) if settings.redis_url_given else _on_own_redis(settings))


def _on_given_redis(settings: Settings) -> int:
    address = settings.redis_url.get_secret_value()
    reachable(address)
    return _run(settings, queue=masking.url(address), env={}, server=None)


def _on_own_redis(settings: Settings) -> int:
    with EmbeddedServer(settings.data_dir) as server:
        state = "found running" if server.adopted else "started for this run"
        queue = f"{server.url} (process {server.pid}, {state})"
        return _run(settings, queue=queue, env={"ACKFIRST_REDIS_URL": server.url}, server=server)


def _run(settings: Settings, *, queue: str, env: dict[str, str], server: EmbeddedServer | None) -> int:
    logger = structlog.get_logger()
    check_free(settings)
    text = banner(settings, load_accounts(settings), queue=queue)
    # Both of them: a stranger on one port must not be taken for ingest, which is about to say that the port is in use.
    places = [(address.local().host, address.port) for address in (*settings.listen, settings.admin_listen)]
    with contextlib.ExitStack() as watches:
        watches.enter_context(Watch(announce(places, lambda: click.echo(text)), every=0.2))
        if server:
            watches.enter_context(Watch(revive(server, logger), every=1.0))
        return Supervisor(_children(env), grace=settings.stop_grace + MARGIN, log=logger).run()


def _children(env: dict[str, str]) -> list[Child]:
    """In the order of stopping: what takes callbacks in, what works on them, what shows them."""
    return [
        Child(name=name, argv=reexec(name), env=env, stage=stage)
        for stage, name in enumerate(("ingest", "worker", "dashboard"))
    ]


def _leave(_signum: int, _frame: FrameType | None) -> Never:
    raise SystemExit(0)
