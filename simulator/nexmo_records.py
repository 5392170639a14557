"""Play Nexmo's Reports API and Redact API: records of messages, day by day and page by page, and forgetting them.

Built to the published documents (Reports API v2 2.1.14 with its guide to pagination, Redact API 1.0.2).
"""

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web

#: Records of one answer; above it the answer is TRUNCATED and has a cursor.
PAGE: Final = 1_000
_SPAN: Final = timedelta(hours=24)
#: Seconds after which a message may be redacted.
PREMATURE_SECONDS: Final = 3_600
_PRODUCTS: Final = ("SMS", "MESSAGES")
_REDACTABLE: Final = ("sms", "voice", "number-insight", "verify", "verify-sdk", "messages")
_DIRECTIONS: Final = ("inbound", "outbound")
_ERRORS: Final = "https://developer.nexmo.com/api-errors"
_PERSONAL: Final = ("from", "to", "message_body")


class NexmoRecords:
    """The records of an account's messages at Nexmo.

    ``messages`` are records as the Reports API gives them, with their ``product``; ``page`` is the length of an answer.
    """

    def __init__(self, api_key: str, messages: list[dict[str, Any]], *, page: int = PAGE) -> None:
        self.messages = messages
        self.page = page
        self._api_key = api_key

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of both APIs."""
        return [web.get("/v2/reports/records", self._report), web.post("/v1/redact/transaction", self._redact)]

    async def _report(self, request: web.Request) -> web.Response:
        query = request.query
        if query.get("account_id") != self._api_key:
            return _problem(403, "Forbidden", "User not authorized to query the requested data")
        for name, allowed in (("product", _PRODUCTS), ("direction", _DIRECTIONS)):
            if query.get(name) not in allowed:
                return _unprocessable(name, f"Use one of the following values {sorted(allowed)}")
        mine = [one for one in self.messages if _is_of(one, query)]
        return self._by_id(request, mine) if "id" in query else self._by_date(request, mine)

    def _by_id(self, request: web.Request, mine: list[dict[str, Any]]) -> web.Response:
        if "date_start" in request.query or "date_end" in request.query:
            return _problem(422, "Invalid filter", "When using message_id, dates are not supported")
        wanted = request.query["id"].split(",")
        found = [one for one in mine if one["message_id"] in wanted]
        missing = sorted(set(wanted) - {one["message_id"] for one in found})
        return web.json_response(self._answer(request, found, missing=missing))

    def _by_date(self, request: web.Request, mine: list[dict[str, Any]]) -> web.Response:
        try:
            start, end = (datetime.fromisoformat(request.query[name]) for name in ("date_start", "date_end"))
        except (KeyError, ValueError):
            return _unprocessable("date_end", "Missing required parameter")
        if not start < end <= start + _SPAN:
            return _unprocessable("date_end", "Must be no more than 24 hours later than date_start")
        return web.json_response(self._answer(request, [one for one in mine if start <= _received(one) < end]))

    def _answer(
        self, request: web.Request, found: list[dict[str, Any]], *, missing: list[str] | None = None
    ) -> dict[str, Any]:
        first = int(request.query.get("cursor") or 0)
        shown = found[first : first + self.page]
        answer: dict[str, Any] = {
            "request_id": str(uuid.uuid4()),
            "request_status": "SUCCESS",
            "product": request.query["product"],
            "account_id": self._api_key,
            "direction": request.query["direction"],
            "include_message": "false",
            "items_count": len(shown),
            "records": [_shown(one) for one in shown],
            "_links": {"self": {"href": str(request.url)}},
        }
        if missing:
            answer["ids_not_found"] = ",".join(missing)
        if first + self.page < len(found):
            more = {"cursor": str(first + self.page), "iv": "aXY"}
            answer |= {"request_status": "TRUNCATED", **more}
            answer["_links"]["next"] = {"href": str(request.url.update_query(more))}
        return answer

    async def _redact(self, request: web.Request) -> web.Response:
        try:
            content = await request.json()
            id_, product, direction = (str(content[name]) for name in ("id", "product", "type"))
        except (ValueError, KeyError, TypeError):
            return _problem(422, "Invalid JSON", "Unexpected character, or a member is missing")
        if product not in _REDACTABLE:
            return _problem(422, "Invalid Product", f"No product corresponding to supplied string {product}!")
        for one in self.messages:
            if (one["message_id"], one["product"].lower(), one["direction"]) == (id_, product, direction):
                if time.time() - _received(one).timestamp() < PREMATURE_SECONDS:
                    detail = f"You must wait 60 minutes before redacting ID '{id_}'"
                    return _problem(403, "Premature Redaction", detail)
                one.update(dict.fromkeys((name for name in _PERSONAL if name in one), "REDACTED"))
                return web.Response(status=204)
        return _problem(404, "Invalid ID", f"ID '{id_}' could not be found (type={direction})")


def _is_of(record: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    return (record["product"], record["direction"]) == (query["product"], query["direction"])


def _received(record: Mapping[str, Any]) -> datetime:
    moment = datetime.fromisoformat(record["date_received"])
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as it is sent: without the text, and without the product, which the whole answer names."""
    return {name: value for name, value in record.items() if name not in ("message_body", "product")}


def _unprocessable(name: str, reason: str) -> web.Response:
    return _problem(422, "Unprocessable entity", "", invalid_parameters=[{"name": name, "reason": reason}])


def _problem(status: int, title: str, detail: str, **more: Any) -> web.Response:
    content = {"type": _ERRORS, "title": title, "detail": detail, "instance": uuid.uuid4().hex, **more}
    return web.json_response(content, status=status, content_type="application/problem+json")
