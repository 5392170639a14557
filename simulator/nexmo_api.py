"""Play Nexmo's management APIs: applications, SMS settings and numbers of an account and its sub-accounts.

Built to the published documents (Application API v2 2.4.1, Account API 1.0.4, Numbers API): PUT replaces a whole
application, an empty POST to the settings changes nothing, listings have pages, errors are problem+json.
"""

import base64
import copy
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from ackfirst.simulator.nexmo_records import NexmoRecords

#: What the Application API calls an error's kind.
_PROBLEM_TYPE: Final = "https://developer.nexmo.com/api-errors"
_LARGEST_PAGE: Final = 100
_DEFAULT_PAGE: Final = 10
_OK: Final = 200

Hook = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


@dataclass(slots=True, kw_only=True)
class NexmoAccount:
    """The state of one account at Nexmo. Tests read and change it while the APIs run, as other people would."""

    api_key: str
    api_secret: str
    applications: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id, as a GET returns them but for ``_links``."""
    settings: dict[str, str] = field(default_factory=lambda: {"mo-callback-url": "", "dr-callback-url": ""})
    numbers: list[dict[str, Any]] = field(default_factory=list)
    balance: float = 10.0
    """EUR."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    """Records of the Reports API, each with its ``product``."""
    check_url: Callable[[str], Awaitable[bool]] | None = None
    """Calls an SMS URL before it is saved; None: every URL is taken."""

    def add_application(self, name: str, **content: Any) -> str:
        """Create an application and return its id."""
        id_ = str(uuid.uuid4())
        self.applications[id_] = {"id": id_, "name": name, **copy.deepcopy(content)}
        return id_


#: Where a request carries whose it is.
_ACCOUNT: Final = web.RequestKey("account", NexmoAccount)


class NexmoApis:
    """An aiohttp application that answers as Nexmo's management APIs do.

    Args:
        account: Whose data is served.
        subaccounts: Further API keys, each with data of its own.
        allowed: Requests that are answered before the rate limit (429); None: no limit.
    """

    def __init__(self, account: NexmoAccount, *subaccounts: NexmoAccount, allowed: int | None = None) -> None:
        self.account = account
        self.accounts = (account, *subaccounts)
        self.records = NexmoRecords(account.api_key, account.messages)
        """Plays the Reports and Redact APIs."""
        self.allowed = allowed
        self.retry_after = 1
        """Seconds that a 429 asks to wait; the limit is lifted by it."""
        self.hooks: deque[Hook] = deque()
        """Each is asked once, in order: it may answer in place of the API, or change the account behind its back."""
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request, in order."""

    def app(self) -> web.Application:
        """Return the application with the routes of all APIs."""
        app = web.Application(middlewares=[self._guard])
        app.add_routes(
            [
                web.get("/v2/applications", self._list),
                web.post("/v2/applications", self._create),
                web.get("/v2/applications/{id}", self._get),
                web.put("/v2/applications/{id}", self._replace),
                web.delete("/v2/applications/{id}", self._delete),
                web.post("/account/settings", self._settings),
                web.get("/account/numbers", self._numbers),
                web.get("/account/get-balance", self._balance),
                *self.records.routes(),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Check the credentials, count against the rate limit, and let a hook interfere."""
        self.requests.append((request.method, request.path))
        if self.hooks:
            answer = await self.hooks.popleft()(request)
            if answer is not None:
                return answer
        account = self._authorized(request)
        if account is None:
            return _problem(401, "Unauthorised", "You did not provide correct credentials.")
        if self.allowed is not None:
            self.allowed -= 1
            if self.allowed < 0:
                self.allowed = None
                return _problem(429, "Rate limited", "Slow down.", {"Retry-After": str(self.retry_after)})
        request[_ACCOUNT] = account
        response: web.StreamResponse = await handler(request)
        return response

    def _authorized(self, request: web.Request) -> NexmoAccount | None:
        """Return the account whose key and secret the request brings."""
        for account in self.accounts:
            credentials = base64.b64encode(f"{account.api_key}:{account.api_secret}".encode()).decode()
            if request.headers.get("Authorization") == f"Basic {credentials}":
                return account
        return None

    async def _list(self, request: web.Request) -> web.Response:
        size, page = _number(request, "page_size", _DEFAULT_PAGE), _number(request, "page", 1)
        if not 1 <= size <= _LARGEST_PAGE or page < 1:
            return _problem(400, "Bad Request", "page_size must be 1 to 100, page at least 1")
        known = list(request[_ACCOUNT].applications.values())
        shown = [_with_links(one) for one in known[(page - 1) * size : page * size]]
        total_pages = max(1, -(-len(known) // size))
        return web.json_response(
            {
                "page_size": size,
                "page": page,
                "total_items": len(known),
                "total_pages": total_pages,
                "_embedded": {"applications": shown},
                "_links": {"self": {"href": str(request.rel_url)}},
            }
        )

    async def _create(self, request: web.Request) -> web.Response:
        content = await _json(request)
        if content is None or not content.get("name"):
            return _invalid("name", "is required")
        id_ = request[_ACCOUNT].add_application(**_stored(content))
        return web.json_response(_with_links(request[_ACCOUNT].applications[id_]), status=201)

    async def _get(self, request: web.Request) -> web.Response:
        found = request[_ACCOUNT].applications.get(request.match_info["id"])
        return _missing() if found is None else web.json_response(_with_links(found))

    async def _replace(self, request: web.Request) -> web.Response:
        """PUT: what is left out is gone, ``version`` becomes v1, ``improve_ai`` true, the key is kept."""
        id_ = request.match_info["id"]
        old = request[_ACCOUNT].applications.get(id_)
        if old is None:
            return _missing()
        content = await _json(request)
        if content is None or not content.get("name"):
            return _invalid("name", "is required")
        for name, webhook in _messages_webhooks(content).items():
            if webhook.get("http_method") != "POST":
                return _invalid(f"capabilities.messages.webhooks.{name}.http_method", "must be POST")
        request[_ACCOUNT].applications[id_] = {"id": id_, "keys": old.get("keys", {}), **_stored(content)}
        return web.json_response(_with_links(request[_ACCOUNT].applications[id_]))

    async def _delete(self, request: web.Request) -> web.Response:
        found = request[_ACCOUNT].applications.pop(request.match_info["id"], None)
        return _missing() if found is None else web.Response(status=204)

    async def _settings(self, request: web.Request) -> web.Response:
        form, names = await request.post(), {"moCallBackUrl": "mo-callback-url", "drCallBackUrl": "dr-callback-url"}
        changed = {names[key]: str(value) for key, value in form.items() if key in names}
        check = request[_ACCOUNT].check_url
        for url in filter(None, changed.values()):
            if check is not None and not await check(url):
                return web.json_response({"error-code": "420", "error-code-label": f"{url} is not valid"}, status=420)
        request[_ACCOUNT].settings.update(changed)
        limits = {"max-outbound-request": 30, "max-inbound-request": 30, "max-calls-per-second": 30}
        return web.json_response({**request[_ACCOUNT].settings, **limits})

    async def _numbers(self, request: web.Request) -> web.Response:
        size, page = _number(request, "size", _DEFAULT_PAGE), _number(request, "index", 1)
        if not request[_ACCOUNT].numbers:
            return web.json_response({})
        shown = request[_ACCOUNT].numbers[(page - 1) * size : page * size]
        return web.json_response({"count": len(request[_ACCOUNT].numbers), "numbers": shown})

    async def _balance(self, request: web.Request) -> web.Response:
        return web.json_response({"value": request[_ACCOUNT].balance, "autoReload": False})


async def serve(apis: NexmoApis, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Listen, and return what stops it and the port."""
    runner = web.AppRunner(apis.app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    return runner, runner.addresses[0][1]


def _stored(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return an application as Nexmo keeps it: with the defaults of what was left out."""
    kept = {key: copy.deepcopy(value) for key, value in content.items() if key not in ("_links", "id")}
    kept.setdefault("capabilities", {})
    kept.setdefault("privacy", {}).setdefault("improve_ai", True)
    if "messages" in kept["capabilities"]:
        kept["capabilities"]["messages"].setdefault("version", "v1")
    return kept


def _messages_webhooks(content: Mapping[str, Any]) -> Mapping[str, Any]:
    messages = (content.get("capabilities") or {}).get("messages") or {}
    found: Mapping[str, Any] = messages.get("webhooks") or {}
    return found


def _with_links(application: Mapping[str, Any]) -> dict[str, Any]:
    return {**application, "_links": {"self": {"href": f"/v2/applications/{application['id']}"}}}


async def _json(request: web.Request) -> dict[str, Any] | None:
    try:
        found = await request.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdigit() else default


def _problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(
        {"type": _PROBLEM_TYPE, "title": title, "detail": detail, "instance": uuid.uuid4().hex},
        status=status,
        headers=headers,
        content_type="application/problem+json",
    )


def _missing() -> web.Response:
    return _problem(404, "Not Found", "There is no application of that id.")


def _invalid(name: str, reason: str) -> web.Response:
    return web.json_response(
        {"type": _PROBLEM_TYPE, "title": "Bad Request", "invalid_parameters": [{"name": name, "reason": reason}]},
        status=400,
        content_type="application/problem+json",
    )
