"""Call Nexmo's Reports API and Redact API: what it knows of messages, and how to make it forget.

Sources: Reports API v2 2.1.14 and Redact API 1.0.2 (OpenAPI documents of Vonage), and the Reports API's guide to
pagination.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import urlencode

from ackfirst.ops.nexmo_api.client import ApiClient, Credentials, NexmoApiError, checked_base_url
from ackfirst.shared.accounts import Account
from ackfirst.shared.record import named_record
from ackfirst.shared.settings import Settings

Direction = Literal["inbound", "outbound"]
ReportProduct = Literal["MESSAGES", "SMS"]

#: The longest span of one query: "date_end must be no more than 24 hours later than date_start".
SPAN: Final = timedelta(hours=24)
#: Message ids of one query. The document names no limit; a URL of 100 ids has 3.7 KB.
IDS_AT_ONCE: Final = 100
#: Seconds before a request is repeated that the Redact API has refused for its rate (170 a second).
THROTTLED_SECONDS: Final = 1.0
_ATTEMPTS: Final = 5
_TRUNCATED: Final = "TRUNCATED"
_TOO_MANY: Final = 429


@named_record
class Transaction:
    """One message at Nexmo."""

    message_id: str
    product: Literal["messages", "sms"]
    direction: Direction
    account: str | None


class RecordsApi:
    """The Reports and Redact APIs of one account. Use it as an async context manager.

    Args:
        credentials: Whose account.
        api_url: Base URL, ``https://api.nexmo.com``.
        sleep: Waits for so many seconds; tests pass their own.

    Raises:
        ConfigurationError: The URL would show the account secret to the network, or is none.
    """

    def __init__(
        self, credentials: Credentials, *, api_url: str, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._client = ApiClient(credentials, sleep=sleep)
        self._api_url = checked_base_url(api_url)
        self._account = credentials.api_key
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def records(
        self, product: ReportProduct, direction: Direction, since: datetime, until: datetime
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield every record of a span, without the texts of messages: a day a query, a page a request.

        Raises:
            NexmoApiError: The API could not be read to the end.
        """
        start = since
        while start < until:
            end = min(start + SPAN, until)
            span = {"date_start": _time(start), "date_end": _time(end)}
            async for record in self._pages(self._url(product, direction, **span)):
                yield record
            start = end

    async def records_of(
        self, product: ReportProduct, direction: Direction, message_ids: Sequence[str]
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the records of some messages; of those that Nexmo does not know there is none.

        Raises:
            NexmoApiError: The API could not be read.
        """
        for start in range(0, len(message_ids), IDS_AT_ONCE):
            ids = ",".join(message_ids[start : start + IDS_AT_ONCE])
            async for record in self._pages(self._url(product, direction, id=ids)):
                yield record

    async def redact(self, transaction: Transaction) -> None:
        """Make Nexmo forget the parties and the text of one message.

        Raises:
            NexmoApiError: It was refused (403: not before 60 minutes have passed, or the account may not; 404: Nexmo
                does not know the message), or there was no answer.
        """
        content = {"id": transaction.message_id, "product": transaction.product, "type": transaction.direction}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._client.request("POST", f"{self._api_url}/v1/redact/transaction", json=content)
            except NexmoApiError as error:
                if error.status != _TOO_MANY or attempt == _ATTEMPTS:
                    raise
                await self._sleep(THROTTLED_SECONDS)
            else:
                return

    def _url(self, product: ReportProduct, direction: Direction, **more: str) -> str:
        query = {"account_id": self._account, "product": product, "direction": direction, **more}
        return f"{self._api_url}/v2/reports/records?{urlencode(query)}"

    async def _pages(self, first: str) -> AsyncIterator[dict[str, Any]]:
        url: str | None = first
        cursors: set[str] = set()
        while url is not None:
            found = await self._client.read(url)
            records = found.get("records")
            if not isinstance(records, list):
                raise NexmoApiError(f"{self._api_url}/v2/reports/records answered without a list of records")
            for record in records:
                if isinstance(record, dict):
                    yield record
            url = None
            if found.get("request_status") == _TRUNCATED:
                # From the cursor, and not from the link: the account secret goes to the configured host only.
                cursor, vector = str(found.get("cursor") or ""), str(found.get("iv") or "")
                if not cursor or cursor in cursors:
                    raise NexmoApiError("the Reports API says that there is more, and not where: try a shorter span")
                cursors.add(cursor)
                url = f"{first}&{urlencode({'cursor': cursor, 'iv': vector})}"


def records_api_of(settings: Settings, account: Account) -> RecordsApi:
    """Return the APIs of an account whose account secret is configured."""
    credentials = Credentials(api_key=account.api_key, api_secret=account.api_secret or "")
    return RecordsApi(credentials, api_url=settings.nexmo_api_url)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
