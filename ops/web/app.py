"""Join the pages and rq-dashboard into one application behind one login."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import structlog
from flask import Flask, Response, g, redirect, render_template, request, url_for
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound, ServiceUnavailable
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from ackfirst.ops.rq_dashboard.app import CONTENT_SECURITY_POLICY as RQ_POLICY
from ackfirst.ops.rq_dashboard.app import create_app as create_rq_app
from ackfirst.ops.web import dead, filters, handlers, lanes, messages, now, quarantine, replays
from ackfirst.ops.web.access import Gate
from ackfirst.ops.web.credentials import Role
from ackfirst.ops.web.live import Live, live
from ackfirst.ops.web.sources import Sources
from ackfirst.shared import masking
from ackfirst.shared.errors import ConfigurationError, QueueUnavailableError, StoreUnavailableError

_BLUEPRINTS: Final = (now, messages, dead, quarantine, lanes, replays, handlers)

#: Endpoint, title and icon of each page, in the order of the menu.
_PAGES: Final = (
    ("now.show", "Now", "now"),
    ("messages.index", "Messages", "messages"),
    ("dead.index", "Dead letters", "dead"),
    ("quarantine.index", "Quarantine", "quarantine"),
    ("lanes.index", "Lanes", "lanes"),
    ("replays.index", "Replays", "replays"),
    ("handlers.index", "Handlers", "handlers"),
)

#: What a page says after an act that leads back to it: the name in the address → the sentence.
_DONE: Final[Mapping[str, str]] = {
    "paused": "The lane is paused: workers take nothing more from it, and what runs goes on.",
    "resumed": "The lane is resumed: workers take from it again.",
    "dropped": "Dropped.",
    "replayed": "The replay is started. Workers queue its events beside live traffic, oldest first.",
}

log = structlog.get_logger(__name__)


def create_app(sources: Sources, gate: Gate, *, allow_delete: bool = False) -> Flask:
    """Build the application.

    Args:
        sources: What the pages read.
        gate: Decides which requests are answered.
        allow_delete: Let rq-dashboard delete jobs, which throws acknowledged events away.
    """
    app = Flask("ackfirst.ops.web")
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.config["MAX_FORM_MEMORY_SIZE"] = 64 * 1024
    sources.attach(app)
    Live(sources).attach(app)
    gate.protect(app)
    filters.register(app)
    for module in _BLUEPRINTS:
        app.register_blueprint(module.blueprint)
    app.add_url_rule("/queues-in-rq", "rq", lambda: redirect("/rq/"))
    app.context_processor(_shared_context(app, sources))
    _answer_errors(app)
    queues = create_rq_app(
        sources.redis,
        redis_name=masking.url(sources.settings.redis_url.get_secret_value()),
        protect=lambda rq: gate.protect(rq, policy=RQ_POLICY),
        personal=sources.settings.log_personal,
        allow_delete=allow_delete,
        lane_names=sources.names.lanes,
    )
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/rq": queues.wsgi_app})  # type: ignore[method-assign] # Flask's documented way
    return app


def _shared_context(app: Flask, sources: Sources) -> Any:
    """Give every template the menu, the user, and the names of lanes."""
    version = _asset_version(Path(app.static_folder or ""))

    def context() -> dict[str, Any]:
        return {
            "pages": _menu(),
            "user": g.get("user"),
            "is_viewer": g.get("role") is Role.VIEWER,
            "lane_name": sources.names.of_lane,
            "asset_version": version,
            "done": _DONE.get(request.args.get("done", "")),
        }

    return context


def _menu() -> list[dict[str, Any]]:
    counts = _menu_counts()
    current = (request.endpoint or "").partition(".")[0]
    return [
        {
            "title": title,
            "icon": icon,
            "url": url_for(endpoint),
            "is_current": endpoint.partition(".")[0] == current,
            "count": counts.get(endpoint, (0, ""))[0],
            "tone": counts.get(endpoint, (0, ""))[1],
        }
        for endpoint, title, icon in _PAGES
    ]


def _menu_counts() -> dict[str, tuple[int, str]]:
    """Return endpoint → number beside its title, and its tone; nothing while Redis does not answer."""
    if g.get("redis_failed"):  # the view has waited for it already
        return {}
    try:
        state = live().state()
    except (RedisError, QueueUnavailableError):
        return {}
    return {
        "dead.index": (state.total("dead_letters"), "bad"),
        "quarantine.index": (state.queue.quarantine_records, ""),
    }


def _asset_version(folder: Path) -> str:
    """Name the style and the script by their content: a browser may keep them, and takes new ones at once."""
    content = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    return sha256(content).hexdigest()[:12]


def _answer_errors(app: Flask) -> None:
    """Turn everything that a view may raise into one sentence."""
    app.register_error_handler(RedisError, _redis_failed)
    app.register_error_handler(QueueUnavailableError, _redis_failed)
    app.register_error_handler(StoreUnavailableError, _store_failed)
    app.register_error_handler(
        ConfigurationError, lambda error: _answer(ServiceUnavailable(filters.sentence(str(error))))
    )
    app.register_error_handler(HTTPException, _answer)
    app.register_error_handler(InternalServerError, _failed)


def _redis_failed(error: Exception) -> Response:
    log.warning("web.redis-failed", error=type(error).__name__, detail=str(error), path=request.path)
    g.redis_failed = True
    return _answer(ServiceUnavailable("Redis does not answer, or refuses. This page is back as soon as it does."))


def _store_failed(error: StoreUnavailableError) -> Response:
    log.warning("web.store-failed", detail=str(error), path=request.path)
    return _answer(ServiceUnavailable(filters.sentence(str(error))))


def _misconfigured(error: ConfigurationError) -> Response:
    return _answer(ServiceUnavailable(filters.sentence(str(error))))


def _failed(error: InternalServerError) -> Response:
    log.error("web.failed", path=request.path, exc_info=error.original_exception)
    return _answer(InternalServerError("The page failed; its log says why."))


def _answer(error: HTTPException) -> Response:
    plain = error.get_response()
    if plain.status_code < 400:  # noqa: PLR2004 - a redirect is an HTTPException as well
        return Response(plain.get_data(), plain.status_code, dict(plain.headers))
    if isinstance(error, NotFound) and error.description == NotFound.description:
        error.description = "There is no such page."
    if "user" in g:
        body = Response(render_template("web/error.html", error=error, back=url_for("now.show")), plain.status_code)
    else:  # without a login even the menu says too much
        body = Response(f"{error.description}\n", plain.status_code, mimetype="text/plain")
    for name in ("Allow", "WWW-Authenticate", "Retry-After"):
        if name in plain.headers:
            body.headers[name] = plain.headers[name]
    if plain.status_code == ServiceUnavailable.code:
        body.headers["Retry-After"] = "5"
    return body
