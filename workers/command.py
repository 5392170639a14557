"""``ackfirst worker``: a pool of engines, a janitor and a recorder under one supervisor."""

import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import structlog

from ackfirst.shared import log
from ackfirst.shared.accounts import is_lane
from ackfirst.shared.embedded import with_private_server
from ackfirst.shared.processes.child import Child
from ackfirst.shared.processes.parent_death import die_with_parent
from ackfirst.shared.processes.supervisor import Supervisor, reexec
from ackfirst.shared.redis.client import reachable
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.settings.files import protect_files

logger = structlog.get_logger(__name__)

if TYPE_CHECKING:
    from ackfirst.workers.pool import WorkOptions

#: Environment variables by which a supervisor tells its engines their pool, and the folder in which it looks for their
#: deadlines. No settings, hence without the prefix of one.
POOL: Final = "_ACKFIRST_POOL"
BOARDS: Final = "_ACKFIRST_BOARDS"
#: Exit code of an engine that a handler has wedged; its supervisor starts another one.
WEDGED_EXIT: Final = 70


def _checked_lanes(_context: click.Context, _option: click.Parameter, lanes: tuple[str, ...]) -> tuple[str, ...]:
    for lane in lanes:
        if not is_lane(lane):
            raise click.BadParameter(
                f"{lane!r} is not a lane: a configured name (1 to 64 of A-Z a-z 0-9 _ -) or <api_key>.<application id>"
            )
    return lanes


@click.command(short_help="Run your handlers on the queued events.")
@click.option(
    "--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="Worker processes, one a core."
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="Plain handlers that run at once in each process; ACKFIRST_THREADS when not given.",
)
@click.option(
    "--lane", "lanes", multiple=True, callback=_checked_lanes, help="Serve this lane only; may be given several times."
)
@click.option("--burst", is_flag=True, help="End when nothing waits; later retries are left to others.")
@click.option(
    "--isolate", is_flag=True, help="Run each attempt of a handler in a process of its own: it may crash, leak or hang."
)
@click.option("--record-only", is_flag=True, help="Start although there are no handlers: events end as unhandled.")
@click.option("--role", type=click.Choice(["engine", "janitor", "recorder"]), hidden=True)
def command(
    processes: int,
    threads: int | None,
    lanes: tuple[str, ...],
    role: str | None,
    *,
    burst: bool,
    isolate: bool,
    record_only: bool,
) -> None:
    """Run the handlers of ACKFIRST_HANDLERS on the queued events, with retries, until SIGTERM."""
    if burst and processes > 1:
        raise click.UsageError("--burst works in one process: leave --processes out.")
    supervised = die_with_parent()
    pool, boards = (os.environ.pop(name, "") if supervised else "" for name in (POOL, BOARDS))
    settings = load_settings(os.environ)
    log.configure(format=settings.log_format, level=settings.log_level, personal=settings.log_personal)
    settings = with_private_server(settings, os.environ, lambda url: logger.info("redis.private-server", url=url))
    if not supervised:  # restarted while Redis is away, it waits until Redis is back
        protect_files(settings, structlog.get_logger("worker"))
        reachable(settings.redis_url.get_secret_value())
    for name in ("rq", "rq.worker", "alembic"):  # the second sets itself to INFO where it finds no level
        logging.getLogger(name).setLevel(logging.WARNING)
    if role == "janitor":
        _tidy(settings)
    elif role == "recorder":
        from ackfirst.workers.recorder.process import run_recorder  # noqa: PLC0415 - only it needs the store

        run_recorder(settings)
    elif role == "engine" or burst:
        from ackfirst.workers.pool import WorkOptions  # noqa: PLC0415 - only an engine needs RQ

        board = Path(boards, str(os.getpid())) if boards else None
        _work(
            settings,
            WorkOptions(pinned=lanes, burst=burst, isolate=isolate, threads=threads, pool=pool, board=board),
            record_only=record_only,
        )
    else:
        options = [part for lane in lanes for part in ("--lane", lane)]
        options += ["--isolate"] if isolate else []
        options += ["--threads", str(threads)] if threads else []
        options += ["--record-only"] if record_only else []
        raise SystemExit(_supervise(settings, processes, options))


def _supervise(settings: Settings, processes: int, options: list[str]) -> int:
    # Only here: an engine that has a supervisor needs none of it.
    from ackfirst.workers.engine.deadline_board import WedgedEngines  # noqa: PLC0415 - see above
    from ackfirst.workers.recovery.heartbeat import Heartbeat  # noqa: PLC0415 - see above

    log = structlog.get_logger("worker")
    with (
        tempfile.TemporaryDirectory(prefix="ackfirst-") as boards,
        Heartbeat.from_settings(settings) as heartbeats,
    ):
        watcher = WedgedEngines(heartbeats, Path(boards), log=log)
        env = {POOL: heartbeats.pool, BOARDS: boards}
        engine = reexec("worker", "--role", "engine", *options)
        children = [Child(name=f"engine-{number}", argv=engine, env=env) for number in range(1, processes + 1)]
        children.append(Child(name="janitor", argv=reexec("worker", "--role", "janitor")))
        if settings.is_recorded:  # last of all: what the engines settle at their stop is recorded by this pool
            children.append(Child(name="recorder", argv=reexec("worker", "--role", "recorder"), stage=1))
        with watcher.thread:
            return Supervisor(children, grace=settings.stop_grace, log=log, watcher=watcher).run()


def _work(settings: Settings, options: "WorkOptions", *, record_only: bool) -> None:
    # Only an engine needs RQ and the user's modules: the supervisor stays light.
    from ackfirst.workers.pool import work, yield_cpu  # noqa: PLC0415 - see above
    from ackfirst.workers.runtime import load_handlers  # noqa: PLC0415 - see above

    registry = load_handlers(settings, record_only=record_only)
    yield_cpu()
    events = structlog.get_logger("workers")
    if not registry:
        events.warning("worker.record-only", hint="there are no handlers: every event ends as unhandled")
    names = [handler.name for handler in registry]
    events.info("worker.started", pid=os.getpid(), handlers=names, lanes=options.pinned or "all")
    result = work(settings, registry, options)
    events.info("worker.stopped", pid=os.getpid(), jobs=result.jobs)
    if result.wedged or result.has_left_threads:
        # The interpreter's own end would wait for, or trip over, the handlers that still run.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(WEDGED_EXIT if result.wedged else 0)


def _tidy(settings: Settings) -> None:
    from ackfirst.workers.pool import tidy  # noqa: PLC0415 - as above

    tidy(settings)
