"""Decide which requests are answered: the password, how often it may be tried, and where a change may come from."""

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, g, request
from werkzeug.datastructures import Authorization, WWWAuthenticate
from werkzeug.exceptions import Forbidden, MethodNotAllowed, TooManyRequests, Unauthorized

_REALM: Final = "ackfirst dashboard"

#: Wrong passwords that one address may send at once, and the seconds after which it may send one more.
ATTEMPTS: Final = 10
SECONDS_PER_ATTEMPT: Final = 6.0

#: Addresses whose attempts are remembered. The longest quiet one is forgotten first.
REMEMBERED_ADDRESSES: Final = 4096

#: An IPv6 client owns a whole network of this prefix length: single addresses would give it endless attempts.
_IPV6_PREFIX: Final = 64

_COOKIE: Final = "ackfirst-known"
_COOKIE_SECONDS: Final = 30 * 24 * 3600

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
    """The user name and password of the dashboard's one user."""

    username: str
    password: str = field(repr=False)

    def match(self, given: Authorization | None) -> bool:
        """Compare, in the same time for a near miss as for a far one."""
        if given is None or given.type != "basic":
            return False
        name = _equal(given.username or "", self.username)
        return _equal(given.password or "", self.password) and name


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
    """The host names under which browsers reach this dashboard.

    IP addresses and ``localhost`` always count: no name server can point them elsewhere. Any other name must be given,
    or a foreign page could make its own name lead here (DNS rebinding) and pass for one of our pages.
    """

    def __init__(self, named: Collection[str] = ()) -> None:
        self._named = frozenset(name.lower() for name in named)

    def own_page(self, sender: str, host: str) -> bool:
        """True if a page at the URL ``sender`` may press a button of the dashboard that was asked for as ``host``."""
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


def protect(app: Flask, credentials: Credentials, hosts: Hosts) -> None:
    """Put every answer of ``app``, static files and errors included, behind these rules."""
    limiter = AttemptLimiter()
    known = _KnownBrowsers()

    @app.before_request
    def check() -> None:
        _check_password(credentials, limiter, known)
        _check_method()
        if request.method == "POST" and not _from_own_page(hosts):
            _log_refusal("not-our-page", origin=request.headers.get("Origin"))
            raise Forbidden(
                "Changes are only taken from the dashboard's own pages, under an address that it knows "
                "(ackfirst dashboard --published)."
            )

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        response.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY.format(nonce=_nonce())
        if request.endpoint not in ("static", "rq_dashboard.static"):
            response.headers["Cache-Control"] = "no-store"
        if "user" in g and not known.recognise():
            known.remember(response)
        return response

    app.context_processor(lambda: {"script_nonce": _nonce})


def _check_password(credentials: Credentials, limiter: AttemptLimiter, known: _KnownBrowsers) -> None:
    try:
        given = request.authorization
    except ValueError:  # bytes that are no base64: werkzeug lets the error through, which was a traceback a request
        given = None
    if given is None:  # the first request of a browser, and the health check: not an attempt
        raise _login_required()
    address = request.remote_addr or ""
    limited = not known.recognise()
    if limited and not limiter.take(address):
        raise TooManyRequests("Too many wrong passwords from this address. Try again in a minute.", retry_after=60)
    if not credentials.match(given):
        # No attempt is logged that was not taken, so a flood of them does not fill the log either.
        _log_refusal("wrong-password")
        raise _login_required()
    if limited:
        limiter.give_back(address)
    g.user = credentials.username


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
    log.warning("dashboard.refused", reason=reason, path=request.path, remote=request.remote_addr, **fields)


def _nonce() -> str:
    if "script_nonce" not in g:
        g.script_nonce = secrets.token_urlsafe(16)
    nonce: str = g.script_nonce
    return nonce
