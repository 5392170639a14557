"""Build rq-dashboard as a Flask application: upstream's blueprint, with parts replaced where ours are safer."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from flask import Flask, Response, current_app, jsonify, render_template_string, request
from redis import Redis
from redis.exceptions import RedisError
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.serializers import JSONSerializer
from rq_dashboard import web
from werkzeug.exceptions import Conflict, HTTPException, InternalServerError, NotFound, ServiceUnavailable

from ackfirst.ops.rq_dashboard import actions, reading
from ackfirst.ops.rq_dashboard.reading import (
    QUEUED,
    REGISTRIES,
    SHOW_PERSONAL,
    ShownJob,
    ShownQueue,
    ShownWorker,
    UnreadableJobError,
    describe,
)
from ackfirst.shared.queue import keys

POLL_INTERVAL_MILLISECONDS: Final = 2500

# 'unsafe-eval': Underscore compiles its templates. 'unsafe-inline' styles: upstream's style attributes.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

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

_ERROR_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{{ error.name }}</title>
<link rel="stylesheet" href="{{ url_for('rq_dashboard.static', filename='css/bootstrap.min.css') }}"></head>
<body class="container p-5">
<h1 class="h3">{{ error.code }} {{ error.name }}</h1>
<p>{{ error.description }}</p>
<p><a href="{{ url_for('rq_dashboard.queues_overview') }}">To the queues</a></p>
</body>
</html>
"""

log = structlog.get_logger(__name__)


class _Dashboard(Flask):
    def select_jinja_autoescape(self, filename: str | None) -> bool:
        # Upstream writes the name of a queue, which a link can choose, into a script (scripts/jobs.js).
        return super().select_jinja_autoescape(filename or "") or (filename or "").endswith(".js")


def create_app(
    connection: Redis,
    *,
    redis_name: str,
    protect: Callable[[Flask], None],
    personal: bool = False,
    allow_delete: bool = False,
    lane_names: Mapping[str, str] | None = None,
) -> Flask:
    """Build the dashboard.

    Args:
        connection: Client that returns bytes (``decode_responses=False``), with time-outs.
        redis_name: What the pages call this Redis: its URL without password.
        protect: Puts the application behind the login.
        personal: Show arguments, texts and phone numbers.
        allow_delete: Offer to delete jobs, which throws acknowledged events away.
        lane_names: Names that the operator gave to applications and accounts, by lane.
    """
    _replace_readers()
    # Flask looks into ``templates`` here before it asks the blueprint: base.html is ours, the rest is upstream's.
    app = _Dashboard("ackfirst.ops.rq_dashboard", static_url_path="/ackfirst")
    app.config[SHOW_PERSONAL] = personal
    app.config["RQ_DASHBOARD_DISABLE_DELETE"] = not allow_delete
    app.config["RQ_DASHBOARD_REDIS_URL"] = (redis_name,)
    app.config["RQ_DASHBOARD_POLL_INTERVAL"] = POLL_INTERVAL_MILLISECONDS
    app.redis_conn = connection  # type: ignore[attr-defined] # where upstream looks for it
    protect(app)
    app.before_request(_check_address)
    app.before_request(_reach_redis)
    app.register_blueprint(web.blueprint)
    # Upstream opens another connection for each request here, by its own reading of the URL.
    app.before_request_funcs.pop("rq_dashboard")
    app.view_functions.update(_ACTIONS)
    app.view_functions["rq_dashboard.jobs_overview"] = _jobs_overview
    _show_lane_names(app, lane_names or {})
    _answer_errors(app)
    return app


def _replace_readers() -> None:
    """Let upstream's views find our readers in their module. Doing it twice is harmless."""
    web.config.serializer = JSONSerializer
    web.Job = ShownJob
    web.Queue = ShownQueue
    web.Worker = ShownWorker
    web.format_job_description = describe
    web.get_queue_registry_jobs_count = _page_of_jobs


def _page_of_jobs(  # noqa: PLR0917 - upstream's signature
    queue_name: str, registry_name: str, offset: int, per_page: int, order: str, connection: Redis
) -> tuple[int, list[dict[str, Any]]]:
    """Read one page of a list. Upstream's pages overlap (``rq_dashboard/web.py``: get_queue_registry_jobs_count)."""
    queue = ShownQueue(queue_name, connection=connection)
    jobs = reading.page(registry_name, queue, offset=offset, size=per_page, newest_first=order == "dsc")
    return reading.count(registry_name, queue), [web.serialize_job(job) for job in jobs]


def _jobs_overview(*, queue_name: str | None, **arguments: Any) -> Response:
    """Show upstream's page of jobs; without a name in the URL of the first lane instead of RQ's queue ``default``."""
    page: Response = web.jobs_overview(queue_name=queue_name or _first_queue(), **arguments)
    return page


def _first_queue() -> str:
    names = [queue.name for queue in ShownQueue.all(connection=current_app.redis_conn)]  # type: ignore[attr-defined]
    return min(names, key=lambda name: (not name.startswith(keys.LANE_PREFIX), name), default="default")


def _show_lane_names(app: Flask, names: Mapping[str, str]) -> None:
    """Write the operator's name behind the name of a lane's queue, on the pages and in their data."""

    def label(queue_name: str) -> str:
        lane = queue_name.removeprefix(keys.LANE_PREFIX)
        # An application without a name of its own is shown with that of its account: <api_key>.<application id>.
        name = names.get(lane) or names.get(lane.partition(".")[0])
        return f"{queue_name} ({name})" if name else queue_name

    @app.after_request
    def add(response: Response) -> Response:
        # Upstream builds its links beside these fields, from the queue itself.
        data = response.get_json(silent=True) if names and "/data/" in request.path else None
        if not isinstance(data, dict):
            return response
        match data:
            case {"queues": [*queues]}:
                for queue in queues:
                    queue["name"] = label(queue["name"])
            case {"workers": [*workers]}:
                for worker in workers:
                    worker["queues"] = [label(name) for name in worker["queues"]]
            case {"origin": str(origin)}:
                data["origin"] = label(origin)
            case _:
                return response
        response.set_data(app.json.dumps(data))
        return response

    app.context_processor(lambda: {"lane_label": label})


def _check_address() -> None:
    """Answer 404 to parts of an address on which upstream's views would fail."""
    given = request.view_args or {}
    fits = (
        given.get("instance_number", 0) == 0
        and given.get("registry_name", QUEUED) in (QUEUED, *REGISTRIES)
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


def _answer_errors(app: Flask) -> None:
    """Turn everything that a view may raise into one sentence: JSON for scripts, a small page for a person."""
    unreadable = Conflict("This job cannot be read: RQ did not write it.")
    app.register_error_handler(RedisError, _redis_failed)
    app.register_error_handler(NoSuchJobError, lambda _: _answer(NotFound("There is no such job (any more).")))
    app.register_error_handler(UnreadableJobError, lambda _: _answer(unreadable))
    app.register_error_handler(InvalidJobOperation, lambda _: _answer(Conflict("The job's state does not allow this.")))
    app.register_error_handler(HTTPException, _answer)
    app.register_error_handler(InternalServerError, _failed)


def _redis_failed(error: Exception) -> Response:
    log.warning("web.redis-failed", error=type(error).__name__, detail=str(error), path=request.path)
    answer = _answer(ServiceUnavailable("Redis does not answer, or refuses. The page is back as soon as it does."))
    answer.headers["Retry-After"] = "5"
    return answer


def _failed(error: InternalServerError) -> Response:
    log.error("web.failed", path=request.path, exc_info=error.original_exception)
    return _answer(InternalServerError("The page failed; its log says why."))


def _answer(error: HTTPException) -> Response:
    response = error.get_response()
    if response.status_code < 400:  # noqa: PLR2004 - a redirect is an HTTPException as well
        return Response(response.get_data(), response.status_code, response.headers)
    if request.method == "POST" or "/data/" in request.path:
        body = jsonify(status="ERROR", error=error.name, message=error.description)
    else:
        body = Response(render_template_string(_ERROR_PAGE, error=error))
    body.status_code = response.status_code
    for name in ("Allow", "WWW-Authenticate", "Retry-After"):
        if name in response.headers:
            body.headers[name] = response.headers[name]
    return body
