"""The dashboard as a Flask application: upstream's blueprint, with its parts exchanged where ours are better."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import structlog
from flask import Flask, Response, current_app, request
from redis import Redis
from rq.serializers import JSONSerializer
from rq_dashboard import web
from werkzeug.exceptions import NotFound

from ackfirst.ops.dashboard import actions, faults, guard, pages, registries
from ackfirst.ops.dashboard.guard import Credentials
from ackfirst.ops.dashboard.reading import SHOW_PERSONAL, ShownJob, ShownQueue, ShownWorker, describe
from ackfirst.shared.queue import keys

#: Milliseconds between two refreshes of a page.
POLL_INTERVAL: Final = 2500

#: Most rows on a page; upstream's own form offers no more.
LARGEST_PAGE: Final = 200

_STATIC: Final = ("static", "rq_dashboard.static", "rq_dashboard.favicon")

_ACTIONS: Final[dict[str, Callable[..., Response]]] = {
    "rq_dashboard.requeue_job_view": actions.requeue,
    "rq_dashboard.requeue_all": actions.requeue_all,
    "rq_dashboard.delete_job_view": actions.delete,
    "rq_dashboard.empty_queue": actions.empty,
    "rq_dashboard.compact_queue": actions.compact,
}

log = structlog.get_logger(__name__)


def create_app(connection: Redis, *, redis_name: str, credentials: Credentials, personal: bool = False) -> Flask:
    """Build the dashboard.

    Args:
        connection: Client that returns bytes (``decode_responses=False``), with time-outs.
        redis_name: What the pages call this Redis: its URL without password.
        credentials: The one user.
        personal: Show arguments, texts and phone numbers.
    """
    _exchange_what_upstream_reads_with()
    app = Flask("ackfirst.ops.dashboard", static_url_path="/ackfirst")
    app.jinja_loader = pages.EditedTemplates()
    app.config[SHOW_PERSONAL] = personal
    app.config["RQ_DASHBOARD_REDIS_URL"] = (redis_name,)
    app.config["RQ_DASHBOARD_POLL_INTERVAL"] = POLL_INTERVAL
    app.redis_conn = connection  # type: ignore[attr-defined] # where upstream looks for it
    guard.protect(app, credentials)
    app.before_request(_check_address)
    app.before_request(_reach_redis)
    app.after_request(_log_action)
    app.register_blueprint(web.blueprint)
    # Upstream opens another connection for each request here, by its own reading of the URL.
    app.before_request_funcs.pop("rq_dashboard")
    app.view_functions.update(_ACTIONS)
    app.view_functions["rq_dashboard.jobs_overview"] = _jobs_overview
    faults.handle(app)
    return app


def _exchange_what_upstream_reads_with() -> None:
    """Upstream's views find these names in their module; doing it twice is harmless, it depends on nothing."""
    web.config.serializer = JSONSerializer
    web.Job = ShownJob
    web.Queue = ShownQueue
    web.Worker = ShownWorker
    web.format_job_description = describe
    web.get_queue_registry_jobs_count = _page_of_jobs


def _page_of_jobs(  # noqa: PLR0917 - upstream's signature
    queue_name: str, registry_name: str, offset: int, per_page: int, order: str, connection: Redis
) -> tuple[int, list[dict[str, Any]]]:
    """In place of upstream's, whose pages overlap (``rq_dashboard/web.py``: get_queue_registry_jobs_count)."""
    queue = ShownQueue(queue_name, connection=connection)
    jobs = registries.page(registry_name, queue, offset=offset, size=per_page, newest_first=order == "dsc")
    return registries.count(registry_name, queue), [web.serialize_job(job) for job in jobs]


def _jobs_overview(*, queue_name: str | None, **arguments: Any) -> Response:
    """Upstream's page of jobs; without a name in the URL it begins with a lane instead of RQ's queue ``default``."""
    page: Response = web.jobs_overview(queue_name=queue_name or _first_queue(), **arguments)
    return page


def _first_queue() -> str:
    names = [queue.name for queue in ShownQueue.all(connection=current_app.redis_conn)]  # type: ignore[attr-defined]
    return min(names, key=lambda name: (not name.startswith(keys.LANE_PREFIX), name), default="default")


def _check_address() -> None:
    """404 for parts of an address on which upstream's views would stumble."""
    given = request.view_args or {}
    fits = (
        given.get("instance_number", 0) == 0
        and given.get("registry_name", registries.QUEUED) in (registries.QUEUED, *registries.REGISTRIES)
        and given.get("order", "asc") in ("asc", "dsc")
        and _is_number(given.get("per_page", 1), LARGEST_PAGE)
        and _is_number(given.get("page", 1), 10**9)
    )
    if not fits:
        raise NotFound


def _is_number(text: str | int, largest: int) -> bool:
    digits = str(text)
    return digits.isascii() and digits.isdigit() and len(digits) <= len(str(largest)) and 1 <= int(digits) <= largest


def _reach_redis() -> None:
    # Asked first, because upstream answers 200 when it finds Redis away.
    if request.endpoint and request.endpoint not in _STATIC:
        current_app.redis_conn.ping()  # type: ignore[attr-defined]


def _log_action(response: Response) -> Response:
    if request.endpoint in _ACTIONS and request.method == "POST" and response.status_code != HTTPStatus.UNAUTHORIZED:
        log.info("dashboard.action", path=request.path, status=response.status_code, remote=request.remote_addr)
    return response
