"""Decide which requests are answered: passwords, roles, how often they may be tried, where a change may come from."""

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, g, request
from werkzeug.datastructures import Authorization, WWWAuthenticate
from werkzeug.exceptions import Forbidden, MethodNotAllowed, TooManyRequests, Unauthorized

_REALM: Final = "ackfirst"

#: Wrong passwords that one address may send at once, and the seconds after which it may send one more.
ATTEMPTS: Final = 10
SECONDS_PER_ATTEMPT: Final = 6.0

#: Addresses whose attempts are remembered. The longest quiet one is forgotten first.
REMEMBERED_ADDRESSES: Final = 4096

#: An IPv6 client owns a whole network of this prefix length: single addresses would give it endless attempts.
_IPV6_PREFIX: Final = 64

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


class Role(StrEnum):
    """The rights of a user."""

    OPERATOR = "operator"
    """Everything."""
    VIEWER = "viewer"
    """Look at what is masked. Changes and personal data are refused."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name, its password and its role."""

    username: str
    password: str = field(repr=False)
    role: Role = Role.OPERATOR

    def match(self, username: str, password: str) -> bool:
        """Compare, in the same time for a near miss as for a far one."""
        name = _equal(username, self.username)
        return _equal(password, self.password) and name


def _equal(left: str, right: str) -> bool:
    # Hashed first: compare_digest reveals the length of texts that differ in it.
    return hmac.compare_digest(_hash(left), _hash(right))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class AttemptLimiter:
    """Limit password attempts per client address: a burst, then one every few seconds.

    Memory is bounded, each call takes constant time, and an address never uses up the attempts of another one.
    """

    def __init__(self, *, size: int = REMEMBERED_ADDRESSES, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._all_free_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, address: str) -> bool:
        """Use one attempt of the address; False when it has none left."""
        client = _network(address)
        now = self._clock()
        with self._lock:
            all_free_at = max(self._all_free_at.get(client, now), now) + SECONDS_PER_ATTEMPT
            if all_free_at - now > ATTEMPTS * SECONDS_PER_ATTEMPT:
                return False
            self._all_free_at[client] = all_free_at
            self._all_free_at.move_to_end(client)
            if len(self._all_free_at) > self._size:
                self._all_free_at.popitem(last=False)
        return True

    def give_back(self, address: str) -> None:
        """Return the attempt that turned out to be the right password."""
        client = _network(address)
        with self._lock:
            if client in self._all_free_at:
                self._all_free_at[client] -= SECONDS_PER_ATTEMPT

    def __len__(self) -> int:
        """Count the remembered addresses."""
        return len(self._all_free_at)


def _network(address: str) -> str:
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(client), _IPV6_PREFIX), strict=False))
    return str(client)


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
