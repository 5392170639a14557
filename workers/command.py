"""``ackfirst worker``: a pool of engines and a janitor under one supervisor."""

import logging
import os
from typing import Final

import click
import structlog

from ackfirst.shared import log
from ackfirst.shared.accounts import is_lane
from ackfirst.shared.embedded import with_private_server
from ackfirst.shared.processes.parent_death import die_with_parent
from ackfirst.shared.processes.supervisor import Child, Supervisor, reexec
from ackfirst.shared.redis.client import reachable
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.settings.files import protect_files

logger = structlog.get_logger(__name__)

#: Environment variable by which a supervisor tells its engines their pool. Not a setting, hence without its prefix.
POOL: Final = "_ACKFIRST_POOL"


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
    "--lane", "lanes", multiple=True, callback=_checked_lanes, help="Serve this lane only; may be given several times."
)
@click.option("--burst", is_flag=True, help="End when nothing waits; later retries are left to others.")
@click.option(
    "--isolate", is_flag=True, help="Run each attempt of a handler in a process of its own: it may crash, leak or hang."
)
@click.option("--role", type=click.Choice(["engine", "janitor"]), hidden=True)
def command(processes: int, lanes: tuple[str, ...], role: str | None, *, burst: bool, isolate: bool) -> None:
    """Run the handlers of ACKFIRST_HANDLERS on the queued events, with retries, until SIGTERM."""
    if burst and processes > 1:
        raise click.UsageError("--burst works in one process: leave --processes out.")
    supervised = die_with_parent()
    pool = os.environ.pop(POOL, "") if supervised else ""
    settings = load_settings(os.environ)
    log.configure(format=settings.log_format, level=settings.log_level, personal=settings.log_personal)
    settings = with_private_server(settings, os.environ, lambda url: logger.info("redis.private-server", url=url))
    if not supervised:  # restarted while Redis is away, it waits until Redis is back
        protect_files(settings, structlog.get_logger("worker"))
        reachable(settings.redis_url.get_secret_value())
    for name in ("rq", "rq.worker"):  # the second sets itself to INFO where it finds no level
        logging.getLogger(name).setLevel(logging.WARNING)
    if role == "janitor":
        _tidy(settings)
    elif role == "engine" or burst:
        _work(settings, lanes, burst=burst, pool=pool, isolate=isolate)
    else:
        raise SystemExit(_supervise(settings, processes, lanes, isolate=isolate))


def _supervise(settings: Settings, processes: int, lanes: tuple[str, ...], *, isolate: bool) -> int:
    # Only here: an engine that has a supervisor needs no vigil of its own.
    from ackfirst.workers.recovery.heartbeat import vigil  # noqa: PLC0415 - see above

    pinned = [part for lane in lanes for part in ("--lane", lane)]
    options = [*pinned, *(["--isolate"] if isolate else [])]
    engine = reexec("worker", "--role", "engine", *options)
    with vigil(settings) as watcher:
        env = {POOL: watcher.pool}
        children = [Child(name=f"engine-{number}", argv=engine, env=env) for number in range(1, processes + 1)]
        children.append(Child(name="janitor", argv=reexec("worker", "--role", "janitor")))
        log = structlog.get_logger("worker")
        return Supervisor(children, grace=settings.stop_grace, log=log, watcher=watcher).run()


def _work(settings: Settings, lanes: tuple[str, ...], *, burst: bool, pool: str, isolate: bool) -> None:
    # Only an engine needs RQ and the user's modules: the supervisor stays light.
    from ackfirst.workers.pool import work  # noqa: PLC0415 - see above
    from ackfirst.workers.runtime import load_handlers  # noqa: PLC0415 - see above

    registry = load_handlers(settings)
    events = structlog.get_logger("workers")
    if not registry:
        events.warning("worker.no-handlers", hint=_no_handlers(settings.handlers))
    events.info(
        "worker.started", pid=os.getpid(), handlers=[handler.name for handler in registry], lanes=lanes or "all"
    )
    jobs = work(settings, registry, pinned=lanes, burst=burst, pool=pool, isolate=isolate)
    events.info("worker.stopped", pid=os.getpid(), jobs=jobs)


def _no_handlers(modules: tuple[str, ...]) -> str:
    advice = f"decorate functions in {', '.join(modules)} with @on()" if modules else "set ACKFIRST_HANDLERS"
    return f"{advice}: until then events finish without any effect"


def _tidy(settings: Settings) -> None:
    from ackfirst.workers.pool import tidy  # noqa: PLC0415 - as above

    tidy(settings)
