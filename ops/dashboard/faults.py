"""What the dashboard says when something fails: one sentence, as JSON for its scripts, as a small page for a person."""

import structlog
from flask import Flask, Response, jsonify, render_template_string, request
from redis.exceptions import RedisError
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from werkzeug.exceptions import Conflict, HTTPException, InternalServerError, NotFound, ServiceUnavailable

from ackfirst.ops.dashboard.reading import UnreadableJobError

_PAGE = """<!DOCTYPE html>
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


def handle(app: Flask) -> None:
    """Turn everything that a view of ``app`` may raise into a clean answer."""
    app.register_error_handler(RedisError, _redis_failed)
    app.register_error_handler(NoSuchJobError, lambda _: _answer(NotFound("There is no such job (any more).")))
    app.register_error_handler(
        UnreadableJobError, lambda _: _answer(Conflict("This job cannot be read: it is not what RQ writes."))
    )
    app.register_error_handler(InvalidJobOperation, lambda _: _answer(Conflict("The job's state does not allow this.")))
    app.register_error_handler(HTTPException, _answer)
    app.register_error_handler(InternalServerError, _failed)


def _redis_failed(error: Exception) -> Response:
    log.warning("dashboard.redis_failed", error=type(error).__name__, detail=str(error), path=request.path)
    answer = _answer(ServiceUnavailable("Redis does not answer, or refuses. The dashboard is back as soon as it does."))
    answer.headers["Retry-After"] = "5"
    return answer


def _failed(error: InternalServerError) -> Response:
    cause = error.original_exception
    log.error("dashboard.failed", path=request.path, exc_info=cause)
    return _answer(InternalServerError("This is a fault of the dashboard; its log says more."))


def _answer(error: HTTPException) -> Response:
    response = error.get_response()
    if response.status_code < 400:  # noqa: PLR2004 - a redirect is an HTTPException as well
        return Response(response.get_data(), response.status_code, response.headers)
    body = _as_json(error) if _wants_json() else Response(render_template_string(_PAGE, error=error))
    body.status_code = response.status_code
    for name in ("Allow", "WWW-Authenticate"):
        if name in response.headers:
            body.headers[name] = response.headers[name]
    return body


def _as_json(error: HTTPException) -> Response:
    return jsonify(status="ERROR", error=error.name, message=error.description)


def _wants_json() -> bool:
    return request.method == "POST" or "/data/" in request.path
