"""Who may ask, and how: a password on everything, changes by POST from our own pages only, strict headers."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, g, request
from werkzeug.datastructures import Authorization, WWWAuthenticate
from werkzeug.exceptions import Forbidden, MethodNotAllowed, Unauthorized

_REALM: Final = "ackfirst dashboard"

# 'unsafe-eval': Underscore compiles its templates. 'unsafe-inline' styles: upstream's style attributes.
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one user of the dashboard."""

    username: str
    password: str = field(repr=False)

    def allow(self, given: Authorization | None) -> bool:
        """Whether these are the credentials; takes as long for a near miss as for a far one."""
        if given is None or given.type != "basic":
            return False
        name = _equal(given.username or "", self.username)
        return _equal(given.password or "", self.password) and name


def _equal(left: str, right: str) -> bool:
    # Hashed first: compare_digest tells the length of texts that differ in it.
    return hmac.compare_digest(_hash(left), _hash(right))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def protect(app: Flask, credentials: Credentials) -> None:
    """Put every answer of ``app``, static files and errors included, behind these rules."""

    @app.before_request
    def check() -> None:
        if not credentials.allow(request.authorization):
            _refuse_login()
        _check_method()
        if request.method == "POST" and not _from_our_own_page():
            log.warning("dashboard.refused", reason="not-same-origin", path=request.path, remote=request.remote_addr)
            raise Forbidden("Changes are only taken from the dashboard's own pages.")

    app.context_processor(lambda: {"script_nonce": _nonce})
    app.after_request(_add_headers)


def _refuse_login() -> None:
    if request.authorization is not None:
        log.warning("dashboard.refused", reason="wrong-password", path=request.path, remote=request.remote_addr)
    challenge = WWWAuthenticate("basic", {"realm": _REALM, "charset": "UTF-8"})
    raise Unauthorized("Please log in.", www_authenticate=challenge)


def _check_method() -> None:
    """405 for what is no POST where changes are made. Upstream takes GET on one of these, and so does any link."""
    allowed = request.url_rule.methods if request.url_rule else None
    if allowed and "POST" in allowed and request.method != "POST":
        raise MethodNotAllowed(valid_methods=["POST"])


def _from_our_own_page() -> bool:
    """Whether the browser says that one of our pages sent this; what says nothing is refused as well.

    ``Sec-Fetch-Site`` first: it is right behind a proxy that changes the host, too. Browsers send it to HTTPS and to
    loopback only; ``Origin`` and ``Referer`` are for the rest.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    sender = request.headers.get("Origin") or request.headers.get("Referer") or ""
    return urlsplit(sender).netloc == request.host


def _nonce() -> str:
    if "script_nonce" not in g:
        g.script_nonce = secrets.token_urlsafe(16)
    nonce: str = g.script_nonce
    return nonce


def _add_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    response.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY.format(nonce=_nonce())
    if request.endpoint not in ("static", "rq_dashboard.static"):
        response.headers["Cache-Control"] = "no-store"
    return response
