"""Send requests to Nexmo's management APIs: authenticate, try again where that is safe, explain every refusal."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp

from ackfirst.shared.errors import ConfigurationError

#: Seconds for one request, connecting included.
REQUEST_SECONDS: Final = 20.0
#: Times that a request which changes nothing is sent, counting the first.
ATTEMPTS: Final = 3
#: Seconds before the second attempt; doubled before the third.
BACKOFF_SECONDS: Final = 1.0
#: Longest ``Retry-After`` in seconds that is waited for; the hourly limit of the account's settings may ask for more.
LONGEST_RETRY_AFTER_SECONDS: Final = 30.0
#: Characters of an error's text that are repeated to the operator.
_DETAIL_LIMIT: Final = 200

_OK: Final = 200
_NO_CONTENT: Final = 204
_TOO_MANY: Final = 429
_CLIENT_ERROR: Final = 400
_NOT_FOUND: Final = 404
#: First HTTP status that leaves open whether a request has taken effect.
SERVER_ERROR: Final = 500

_OTHER_ADDRESS: Final = (
    "this address has no such API: check ACKFIRST_NEXMO_API_URL and ACKFIRST_NEXMO_REST_URL (another region?)"
)
_ADVICE: Final[Mapping[int, str]] = {
    401: "check ACKFIRST_API_KEY and ACKFIRST_API_SECRET: the account secret, not the signature secret",
    403: "this API key may not do that: check its rights, or use the primary account's key",
}


class NexmoApiError(Exception):
    """A management API did not do what it was asked for. The message is one sentence for the operator."""

    def __init__(self, message: str, *, status: int | None = None, is_missing: bool = False) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status of the answer; None if there was no usable answer."""
        self.is_missing = is_missing
        """True if the API said in its own format that it has no such object. A 404 of anything else, such as a proxy
        or the address of another region, says nothing about the object."""

    @property
    def is_refusal(self) -> bool:
        """True if Nexmo said no, so nothing has changed; False if the answer was lost or never came."""
        return self.status is not None and self.status < SERVER_ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Account key and account secret, for HTTP Basic authentication."""

    api_key: str
    api_secret: str

    def header(self) -> str:
        """Return the value of the ``Authorization`` header."""
        return aiohttp.encode_basic_auth(self.api_key, self.api_secret)

    def __repr__(self) -> str:
        return f"Credentials({self.api_key})"


class ApiClient:
    """Sends requests of one account. Use it as an async context manager.

    Args:
        credentials: Whose account.
        sleep: Waits for so many seconds; tests pass their own.
        clock: Unix seconds, to compare with Nexmo's clock.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._sleep = sleep
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self.clock_skew_seconds: float | None = None
        """This machine's clock minus the ``Date`` of the newest answer; None before the first, or without one."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": self._credentials.header()},
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            trust_env=True,
        )
        # aiohttp sends a PUT or DELETE again by itself when the connection ends without an answer. The second one would
        # write over what somebody else wrote meanwhile, or be told that there is nothing to delete: once is once.
        self._session._retry_connection = False  # noqa: SLF001 - there is no other switch; tests count the requests
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def read(self, url: str, *, method: str = "GET") -> dict[str, Any]:
        """Send a request that changes nothing; again, a little later, when that may help.

        Raises:
            NexmoApiError: There was no usable answer.
        """
        for attempt in range(1, ATTEMPTS):
            try:
                return await self.request(method, url)
            except NexmoApiError as error:
                if error.is_refusal:
                    raise
            await self._sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
        return await self.request(method, url)

    async def request(self, method: str, url: str, **content: Any) -> dict[str, Any]:
        """Send a request once, and once more when Nexmo asks to come back in a moment (429: it has done nothing).

        Raises:
            NexmoApiError: It was refused, or there was no usable answer.
        """
        status, headers, body = await self._send(method, url, **content)
        if status == _TOO_MANY:
            wait = _retry_after(headers)
            if wait is None or wait > LONGEST_RETRY_AFTER_SECONDS:
                when = "later" if wait is None else f"in {wait:.0f} s"
                raise NexmoApiError(
                    f"{host_of(url)} limits the rate of requests (429): try again {when}", status=status
                )
            await self._sleep(wait)
            status, headers, body = await self._send(method, url, **content)
        return _content(url, status, body)

    async def _send(self, method: str, url: str, **content: Any) -> tuple[int, Mapping[str, str], bytes]:
        assert self._session is not None, "use the API as a context manager"  # noqa: S101 - a programmer's mistake
        try:
            async with self._session.request(method, url, allow_redirects=False, **content) as response:
                self.clock_skew_seconds = _skew(response.headers.get("Date"), self._clock())
                return response.status, response.headers, await response.read()
        except TimeoutError as error:
            raise NexmoApiError(f"{host_of(url)} did not answer within {REQUEST_SECONDS:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NexmoApiError(
                f"{host_of(url)} cannot be reached: {error}; check the network and the proxy"
            ) from error


def checked_base_url(url: str) -> str:
    """Return the base URL of an API without a trailing slash. The account secret goes there: not in the open."""
    try:
        parts = urlsplit(url)
        is_local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        is_usable = parts.scheme == "https" or (parts.scheme == "http" and is_local)
        is_usable = is_usable and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigurationError(
            f"{url!r} is no base URL of an API: use https://…, check ACKFIRST_NEXMO_API_URL and ACKFIRST_NEXMO_REST_URL"
        )
    return url.rstrip("/")


def _content(url: str, status: int, body: bytes) -> dict[str, Any]:
    if status == _NO_CONTENT:
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if status != _OK:
        is_missing = status == _NOT_FOUND and isinstance(found, dict)
        raise NexmoApiError(_refusal(url, status, found), status=status, is_missing=is_missing)
    if not isinstance(found, dict):
        raise NexmoApiError(f"{url} answered with something else than a JSON object: is this the right address?")
    return found


def _refusal(url: str, status: int, found: Any) -> str:
    """Say what an answer other than 200 means, with the API's own words where it has some."""
    words: list[str] = []
    if isinstance(found, dict):
        words = [str(found[key]) for key in ("title", "detail", "error-code-label") if found.get(key)]
        invalid = found.get("invalid_parameters")
        for parameter in invalid if isinstance(invalid, list) else ():
            if isinstance(parameter, dict):
                words.append(f"{parameter.get('name')}: {parameter.get('reason')}")
    said = "; ".join(words)[:_DETAIL_LIMIT]
    advice = _ADVICE.get(status, "")
    if status >= SERVER_ERROR:
        advice = "try again later"
    elif status < _CLIENT_ERROR or (status == _NOT_FOUND and not isinstance(found, dict)):
        advice = _OTHER_ADDRESS  # Nexmo says in JSON what it does not have
    parts = [part for part in (said, advice) if part]
    return f"{host_of(url)} answered {status}" + (f": {'; '.join(parts)}" if parts else "")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers.get("Retry-After", "")))
    except ValueError:
        return None


def _skew(date: str | None, now: float) -> float | None:
    try:
        return now - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return None


def host_of(url: str) -> str:
    """Return the host and port of a URL, for messages."""
    return url.split("/")[2]
