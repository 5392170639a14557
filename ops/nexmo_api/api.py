"""The management APIs of one account: applications, SMS settings, numbers, balance.

Objects travel as the JSON that Nexmo sends, never through a model: what a model does not know would be lost when the
object is written back. The official Python client loses capabilities that way.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from ackfirst.ops.nexmo_api.client import (
    ApiClient,
    Credentials,
    NexmoApiError,
    checked_base_url,
    host_of,
)
from ackfirst.shared.accounts import Account
from ackfirst.shared.settings import Settings

#: Objects on one page of a listing, the most that the APIs allow.
PAGE_SIZE: Final = 100

_APPLICATION_ID: Final = re.compile(r"[A-Za-z0-9-]+").fullmatch


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
        self._applications_url = f"{checked_base_url(api_url)}/v2/applications"
        self._rest_url = checked_base_url(rest_url)
        self._client = ApiClient(credentials, sleep=sleep, clock=clock)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def applications(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every application of the account, page by page.

        Raises:
            NexmoApiError: The API could not be read.
        """
        page, pages = 1, 1
        while page <= pages:
            found = await self._client.read(f"{self._applications_url}?page_size={PAGE_SIZE}&page={page}")
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
        """Return one application as Nexmo has it, None if Nexmo says that the account has no such application.

        Raises:
            NexmoApiError: The API could not be read.
        """
        try:
            return await self._client.read(self._application_url(application_id))
        except NexmoApiError as error:
            if error.is_missing:
                return None
            raise

    async def replace_application(self, application_id: str, content: Mapping[str, Any]) -> None:
        """Write a whole application: what ``content`` leaves out is gone afterwards.

        Sent once only: when the answer is lost, the caller must read the application to know its state.

        Raises:
            NexmoApiError: It was refused, or there was no answer.
        """
        await self._client.request("PUT", self._application_url(application_id), json=content)

    async def delete_application(self, application_id: str) -> None:
        """Delete an application for good.

        Sent once only: when the answer is lost, the caller must read the application to know its state.

        Raises:
            NexmoApiError: It was refused, or there was no answer.
        """
        await self._client.request("DELETE", self._application_url(application_id))

    async def sms_settings(self) -> SmsSettings:
        """Return the account's URLs for the SMS API. An empty POST changes nothing and returns them.

        Raises:
            NexmoApiError: The API could not be read.
        """
        return _sms_settings(await self._client.read(f"{self._rest_url}/account/settings", method="POST"))

    async def set_sms_settings(self, wanted: SmsSettings) -> SmsSettings:
        """Set both URLs of the SMS API, and return what the account has afterwards. An empty text unsets one.

        Nexmo calls each URL while it saves it, and refuses one that does not answer 200 at that moment.

        Raises:
            NexmoApiError: It was refused, or there was no answer.
        """
        # Spelled as in the API's document; the official Python client writes "moCallbackUrl".
        form = {"moCallBackUrl": wanted.inbound_url, "drCallBackUrl": wanted.receipt_url}
        return _sms_settings(await self._client.request("POST", f"{self._rest_url}/account/settings", data=form))

    async def numbers(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every number of the account, page by page.

        Raises:
            NexmoApiError: The API could not be read.
        """
        page, seen = 1, 0
        while True:
            found = await self._client.read(f"{self._rest_url}/account/numbers?size={PAGE_SIZE}&index={page}")
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
        found = await self._client.read(f"{self._rest_url}/account/get-balance")
        value = found.get("value")
        if not isinstance(value, int | float):
            raise NexmoApiError(f"{host_of(self._rest_url)} answered without a balance")
        return Balance(float(value), found.get("autoReload") is True, self._client.clock_skew_seconds)

    def _application_url(self, application_id: str) -> str:
        # As it comes from the command line or a backup: "../x?y" would be another address of the API.
        if not _APPLICATION_ID(application_id):
            raise NexmoApiError(f"{application_id!r} is no application id: copy it from ackfirst webhooks show")
        return f"{self._applications_url}/{application_id}"


def api_of(settings: Settings, account: Account) -> NexmoApi:
    """Return the management APIs of an account whose account secret is configured."""
    credentials = Credentials(api_key=account.api_key, api_secret=account.api_secret or "")
    return NexmoApi(credentials, api_url=settings.nexmo_api_url, rest_url=settings.nexmo_rest_url)


def _object(found: Any, url: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise NexmoApiError(f"{host_of(url)} answered with a list of something else than JSON objects")
    return found


def _whole(found: Any) -> int:
    return found if isinstance(found, int) else 0


def _sms_settings(found: Mapping[str, Any]) -> SmsSettings:
    return SmsSettings(str(found.get("mo-callback-url") or ""), str(found.get("dr-callback-url") or ""))
