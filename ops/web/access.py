"""Decide which requests are answered: whose password, in which role, and where a change may come from."""

import hmac
import ipaddress
import secrets
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, g, request
from werkzeug.datastructures import Authorization, WWWAuthenticate
from werkzeug.exceptions import Forbidden, MethodNotAllowed, TooManyRequests, Unauthorized

from ackfirst.ops.web.credentials import AttemptLimiter, Credentials, Role

_REALM: Final = "ackfirst"


_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")

_COOKIE: Final = "ackfirst-known"
_STATIC: Final = ("static", "rq_dashboard.static")
_COOKIE_SECONDS: Final = 30 * 24 * 3600

#: No inline script or style, no eval, nothing from elsewhere. ``/rq/`` has a policy of its own.
STRICT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

log = structlog.get_logger(__name__)


class Hosts:
    """The host names under which browsers reach this page.

    IP addresses and ``localhost`` always count: no name server can point them elsewhere. Any other name must be given,
    or a foreign page could make its own name lead here (DNS rebinding) and pass for one of our pages.
    """

    def __init__(self, named: Collection[str] = ()) -> None:
        self._named = frozenset(name.lower() for name in named)

    def own_page(self, sender: str, host: str) -> bool:
        """True if a page at the URL ``sender`` may press a button of the page that was asked for as ``host``."""
        try:
            url = urlsplit(sender)
            name = (url.hostname or "").lower()
        except ValueError:
            return False
        # A proxy in front may change the Host header, so a name that was given needs no equal one there.
        return name in self._named or (url.netloc.lower() == host.lower() and _always_local(name))


def _always_local(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


class _KnownBrowsers:
    """Recognise a browser that logged in before, by a signed cookie that holds nothing but a random number.

    Without it, somebody who guesses passwords from an address would keep out everyone behind the same proxy.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def recognise(self) -> bool:
        number, _, signature = request.cookies.get(_COOKIE, "").partition(".")
        return hmac.compare_digest(self._sign(number).encode(), signature.encode("utf-8", "replace"))

    def remember(self, response: Response) -> None:
        number = secrets.token_urlsafe(16)
        response.set_cookie(
            _COOKIE,
            f"{number}.{self._sign(number)}",
            max_age=_COOKIE_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=request.is_secure,
        )

    def _sign(self, number: str) -> str:
        return hmac.digest(self._key, number.encode("utf-8", "surrogatepass"), "sha256").hex()


class Gate:
    """Checks every request: password, role, method, and the page that a change comes from.

    One gate serves several applications, so that a password is tried as often for all of them together.

    Args:
        users: Who may log in.
        hosts: Host names of our own pages.
    """

    def __init__(self, users: Sequence[Credentials], hosts: Hosts) -> None:
        self._users = tuple(users)
        self._hosts = hosts
        self._limiter = AttemptLimiter()
        self._known = _KnownBrowsers()

    def protect(self, app: Flask, *, policy: str = STRICT_POLICY) -> None:
        """Put every answer of ``app``, static files and errors included, behind this gate.

        Args:
            app: The application.
            policy: Its content security policy; ``{nonce}`` in it becomes that of ``script_nonce()`` in its templates.
        """

        @app.before_request
        def check() -> None:
            self._check_password()
            _check_method()
            if request.method not in _SAFE_METHODS:
                self._check_change()

        @app.after_request
        def add_headers(response: Response) -> Response:
            response.headers.update(_HEADERS)
            response.headers["Content-Security-Policy"] = policy.format(nonce=_nonce())
            if request.endpoint not in _STATIC:
                response.headers["Cache-Control"] = "no-store"
            if "user" in g and not self._known.recognise():
                self._known.remember(response)
            return response

        app.context_processor(lambda: {"script_nonce": _nonce})

    def _check_password(self) -> None:
        try:
            given = request.authorization
        except ValueError:  # bytes that are no base64: werkzeug lets the error through, which was a traceback a request
            given = None
        if given is None:  # the first request of a browser, and the health check: not an attempt
            raise _login_required()
        address = request.remote_addr or ""
        limited = not self._known.recognise()
        if limited and not self._limiter.take(address):
            raise TooManyRequests("Too many wrong passwords from this address. Try again in a minute.", retry_after=60)
        user = self._user(given)
        if user is None:
            # No attempt is logged that was not taken, so a flood of them does not fill the log either.
            _log_refusal("wrong-password")
            raise _login_required()
        if limited:
            self._limiter.give_back(address)
        g.user, g.role = user.username, user.role

    def _user(self, given: Authorization) -> Credentials | None:
        """Find the user. Every user is compared, so that the time does not say which names there are."""
        if given.type != "basic":
            return None
        matching = [user for user in self._users if user.match(given.username or "", given.password or "")]
        return matching[0] if matching else None

    def _check_change(self) -> None:
        if not _from_own_page(self._hosts):
            _log_refusal("not-our-page", origin=request.headers.get("Origin"))
            raise Forbidden(
                "Changes are only taken from the page's own forms, under an address that it knows "
                "(ackfirst web --published)."
            )
        if g.role is not Role.OPERATOR:
            _log_refusal("read-only", user=g.user)
            raise Forbidden("This login may look and change nothing. Log in as ackfirst to do that.")


def _login_required() -> Unauthorized:
    challenge = WWWAuthenticate("basic", {"realm": _REALM, "charset": "UTF-8"})
    return Unauthorized("Please log in.", www_authenticate=challenge)


def _check_method() -> None:
    """Answer 405 to anything but POST where changes are made. Upstream takes GET on one of these, as any link sends."""
    allowed = request.url_rule.methods if request.url_rule else None
    if allowed and "POST" in allowed and request.method != "POST":
        raise MethodNotAllowed(valid_methods=["POST"])


def _from_own_page(hosts: Hosts) -> bool:
    """Return whether one of our pages sent this. Without a header that says so, the answer is no.

    Browsers send ``Sec-Fetch-Site`` over HTTPS and to loopback only, hence ``Origin`` and ``Referer`` besides.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    sender = request.headers.get("Origin") or request.headers.get("Referer")
    if sender is None and "Sec-Fetch-Site" in request.headers:
        sender = f"{request.scheme}://{request.host}"
    return sender is not None and hosts.own_page(sender, request.host)


def _log_refusal(reason: str, **fields: str | None) -> None:
    log.warning("web.refused", reason=reason, path=request.path, remote=request.remote_addr, **fields)


def _nonce() -> str:
    if "script_nonce" not in g:
        g.script_nonce = secrets.token_urlsafe(16)
    nonce: str = g.script_nonce
    return nonce
