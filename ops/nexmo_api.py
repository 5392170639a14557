"""Call Nexmo's management APIs: applications, the account's SMS settings, numbers.

Objects travel as the JSON that Nexmo sends, never through a model: what a model does not know would be lost when the
object is written back. The official Python client loses capabilities that way.

Sources: Application API v2 2.4.1 and Account API 1.0.4 (OpenAPI documents of Vonage), Numbers API.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp

from ackfirst.shared.accounts import Account
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.settings import Settings

#: Seconds for one request, connecting included.
REQUEST_SECONDS: Final = 20.0
#: Times that a request which changes nothing is sent, counting the first.
ATTEMPTS: Final = 3
#: Seconds before the second attempt; doubled before the third.
BACKOFF_SECONDS: Final = 1.0
#: Longest ``Retry-After`` in seconds that is waited for; the hourly limit of the account's settings may ask for more.
LONGEST_RETRY_AFTER_SECONDS: Final = 30.0
#: Objects on one page of a listing, the most that the APIs allow.
PAGE_SIZE: Final = 100
#: Characters of an error's text that are repeated to the operator.
_DETAIL_LIMIT: Final = 200

_APPLICATION_ID: Final = re.compile(r"[A-Za-z0-9-]+").fullmatch

_OK: Final = 200
_NO_CONTENT: Final = 204
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
#: First HTTP status that leaves open whether a request has taken effect.
SERVER_ERROR: Final = 500

_ADVICE: Final[Mapping[int, str]] = {
    401: "check ACKFIRST_API_KEY and ACKFIRST_API_SECRET: the account secret, not the signature secret",
    403: "this API key may not do that: check its rights, or use the primary account's key",
}


class NexmoApiError(Exception):
    """A management API did not do what it was asked for. The message is one sentence for the operator."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status of the answer; None if there was no usable answer."""


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


@dataclass(frozen=True, slots=True)
class SmsSettings:
    """The account's URLs for the SMS API; an empty text where none is set."""

    inbound_url: str
    """``mo-callback-url``: inbound SMS."""
    receipt_url: str
    """``dr-callback-url``: delivery receipts."""


@dataclass(frozen=True, slots=True)
class Balance:
    """The money that an account can still spend, and the time at Nexmo."""

    value: float
    """EUR."""
    reloads: bool
    """True if the account tops itself up."""
    clock_skew_seconds: float | None
    """This machine's clock minus the ``Date`` of the answer, a whole second at best; None without that header."""

    def is_low(self, limit: float) -> bool:
        """Return True if less than ``limit`` is left and nothing is reloaded."""
        return self.value < limit and not self.reloads


class NexmoApi:
    """The management APIs of one account. Use it as an async context manager.

    Args:
        credentials: Whose account.
        api_url: Base URL of the Application API, ``https://api.nexmo.com``.
        rest_url: Base URL of the Account and Numbers APIs, ``https://rest.nexmo.com``.
        sleep: Waits for so many seconds; tests pass their own.
        clock: Unix seconds, to compare with Nexmo's clock.

    Raises:
        ConfigurationError: A URL would show the account secret to the network, or is none.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        api_url: str,
        rest_url: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._applications_url = f"{_checked(api_url)}/v2/applications"
        self._rest_url = _checked(rest_url)
        self._sleep = sleep
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._clock_skew: float | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": self._credentials.header()},
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            trust_env=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def applications(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every application of the account, page by page.

        Raises:
            NexmoApiError: The API could not be read.
        """
        page, pages = 1, 1
        while page <= pages:
            found = await self._read(f"{self._applications_url}?page_size={PAGE_SIZE}&page={page}")
            embedded = found.get("_embedded")
            applications = embedded.get("applications") if isinstance(embedded, dict) else None
            if not isinstance(applications, list):
                raise NexmoApiError(f"{self._applications_url} answered without a list of applications")
            for application in applications:
                yield _object(application, self._applications_url)
            if not applications:  # whatever it says of further pages: else they never end
                return
            pages = _whole(found.get("total_pages"))
            page += 1

    async def application(self, application_id: str) -> dict[str, Any] | None:
        """Return one application as Nexmo has it, None if the account has no such application.

        Raises:
            NexmoApiError: The API could not be read.
        """
        try:
            return await self._read(self._application_url(application_id))
        except NexmoApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def replace_application(self, application_id: str, content: Mapping[str, Any]) -> None:
        """Write a whole application: what ``content`` leaves out is gone afterwards.

        Sent once only: when the answer is lost, the caller must read the application to know its state.

        Raises:
            NexmoApiError: It was refused, or there was no answer.
        """
        await self._request("PUT", self._application_url(application_id), json=content)

    async def sms_settings(self) -> SmsSettings:
        """Return the account's URLs for the SMS API. An empty POST changes nothing and returns them.

        Raises:
            NexmoApiError: The API could not be read.
        """
        return _sms_settings(await self._read(f"{self._rest_url}/account/settings", method="POST"))

    async def set_sms_settings(self, wanted: SmsSettings) -> SmsSettings:
        """Set both URLs of the SMS API, and return what the account has afterwards. An empty text unsets one.

        Nexmo calls each URL while it saves it, and refuses one that does not answer 200 at that moment.

        Raises:
            NexmoApiError: It was refused, or there was no answer.
        """
        # Spelled as in the API's document; the official Python client writes "moCallbackUrl".
        form = {"moCallBackUrl": wanted.inbound_url, "drCallBackUrl": wanted.receipt_url}
        return _sms_settings(await self._request("POST", f"{self._rest_url}/account/settings", data=form))

    async def numbers(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every number of the account, page by page.

        Raises:
            NexmoApiError: The API could not be read.
        """
        page, seen = 1, 0
        while True:
            found = await self._read(f"{self._rest_url}/account/numbers?size={PAGE_SIZE}&index={page}")
            numbers = found.get("numbers") or []  # left out for an account without numbers
            for number in numbers if isinstance(numbers, list) else ():
                yield _object(number, self._rest_url)
            seen += len(numbers)
            if not numbers or seen >= _whole(found.get("count")):
                return
            page += 1

    async def balance(self) -> Balance:
        """Return the account's balance.

        Raises:
            NexmoApiError: The API could not be read.
        """
        found = await self._read(f"{self._rest_url}/account/get-balance")
        value = found.get("value")
        if not isinstance(value, int | float):
            raise NexmoApiError(f"{_host(self._rest_url)} answered without a balance")
        return Balance(float(value), found.get("autoReload") is True, self._clock_skew)

    def _application_url(self, application_id: str) -> str:
        # As it comes from the command line or a backup: "../x?y" would be another address of the API.
        if not _APPLICATION_ID(application_id):
            raise NexmoApiError(f"{application_id!r} is no application id: copy it from ackfirst webhooks show")
        return f"{self._applications_url}/{application_id}"

    async def _read(self, url: str, *, method: str = "GET") -> dict[str, Any]:
        """Send a request that changes nothing; again, a little later, when that may help."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._request(method, url)
            except NexmoApiError as error:
                if error.status is not None and error.status < SERVER_ERROR:
                    raise
            await self._sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
        return await self._request(method, url)

    async def _request(self, method: str, url: str, **content: Any) -> dict[str, Any]:
        """Send a request once, and once more when Nexmo asks to come back in a moment (429: it has done nothing)."""
        status, headers, body = await self._send(method, url, **content)
        if status == _TOO_MANY:
            wait = _retry_after(headers)
            if wait is None or wait > LONGEST_RETRY_AFTER_SECONDS:
                when = "later" if wait is None else f"in {wait:.0f} s"
                raise NexmoApiError(f"{_host(url)} limits the rate of requests (429): try again {when}", status=status)
            await self._sleep(wait)
            status, headers, body = await self._send(method, url, **content)
        return _content(url, status, body)

    async def _send(self, method: str, url: str, **content: Any) -> tuple[int, Mapping[str, str], bytes]:
        assert self._session is not None, "use the API as a context manager"  # noqa: S101 - a programmer's mistake
        try:
            async with self._session.request(method, url, allow_redirects=False, **content) as response:
                self._clock_skew = _skew(response.headers.get("Date"), self._clock())
                return response.status, response.headers, await response.read()
        except TimeoutError as error:
            raise NexmoApiError(f"{_host(url)} did not answer within {REQUEST_SECONDS:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NexmoApiError(f"{_host(url)} cannot be reached: {error}; check the network and the proxy") from error


def api_of(settings: Settings, account: Account) -> NexmoApi:
    """Return the management APIs of an account whose account secret is configured."""
    credentials = Credentials(api_key=account.api_key, api_secret=account.api_secret or "")
    return NexmoApi(credentials, api_url=settings.nexmo_api_url, rest_url=settings.nexmo_rest_url)


def _content(url: str, status: int, body: bytes) -> dict[str, Any]:
    if status == _NO_CONTENT:
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if status != _OK:
        raise NexmoApiError(_refusal(url, status, found), status=status)
    if not isinstance(found, dict):
        raise NexmoApiError(f"{url} answered with something else than a JSON object: is this the right address?")
    return found


def _object(found: Any, url: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise NexmoApiError(f"{_host(url)} answered with a list of something else than JSON objects")
    return found


def _whole(found: Any) -> int:
    return found if isinstance(found, int) else 0


def _checked(url: str) -> str:
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
    advice = _ADVICE.get(status) or ("try again later" if status >= SERVER_ERROR else "")
    parts = [part for part in (said, advice) if part]
    return f"{_host(url)} answered {status}" + (f": {'; '.join(parts)}" if parts else "")


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


def _sms_settings(found: Mapping[str, Any]) -> SmsSettings:
    return SmsSettings(str(found.get("mo-callback-url") or ""), str(found.get("dr-callback-url") or ""))


def _host(url: str) -> str:
    return url.split("/")[2]
