"""``ackfirst ingest``: run one process, or several that share the port."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click
import structlog
import uvloop

from ackfirst.ingest.app import IngestServer
from ackfirst.ingest.metrics import SHARED_FOLDER
from ackfirst.ingest.processes import run_processes
from ackfirst.ingest.start import check_accounts, check_redis
from ackfirst.shared import log
from ackfirst.shared.embedded import with_private_server
from ackfirst.shared.processes.collector import tune_collector
from ackfirst.shared.processes.parent_death import die_with_parent
from ackfirst.shared.settings import load_settings
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.shared.settings.files import protect_files


@click.command()
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that share the port; one for each core that is to answer.",
)
@click.option("--member", is_flag=True, hidden=True, help="Be one of several processes.")
def command(processes: int, *, member: bool) -> None:
    """Answer Nexmo's callbacks and queue the events."""
    die_with_parent()
    settings = load_settings(os.environ)
    sink = log.configure(format=settings.log_format, level=settings.log_level, personal=settings.log_personal)
    logger = structlog.get_logger().bind()
    settings = with_private_server(settings, os.environ, lambda url: logger.info("redis.private-server", url=url))
    accounts = load_accounts(settings)
    if not member:  # the supervisor of a member has done it
        protect_files(settings, logger)
        check_redis(settings, logger)
        check_accounts(accounts, logger)
    if processes > 1:
        sys.exit(run_processes(settings, processes, log=logger))
    shared_folder = Path(os.environ[SHARED_FOLDER]) if member else None
    server = IngestServer(settings, accounts, log=logger, lines=log.wide_lines(), shared_folder=shared_folder)
    try:
        uvloop.run(_serve(server, logger, sink))
    finally:
        sink.scatter()


async def _serve(server: IngestServer, logger: Any, sink: log.Sink) -> None:
    stop = _stop_signal()
    sink.gather(asyncio.get_running_loop().call_soon)
    await server.start()
    tune_collector()
    await stop.wait()
    logger.info("ingest.stopping")
    await server.stop()
    logger.info("ingest.stopped")


def _stop_signal() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; the second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop_once() -> None:
        stop.set()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(signum)

    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop_once)
    return stop
