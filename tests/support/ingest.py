"""An ingest server inside the test's own event loop, and the doubles around its core."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from ackfirst.ingest.app import IngestServer
from ackfirst.ingest.limits import IngestLimits
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.settings import load_settings
from tests.support.factories import API_KEY, SECRET
from tests.support.nexmo import signed_headers

ACCOUNTS = Accounts([Account(api_key=API_KEY, secrets=(SECRET.encode(),))])


@dataclass
class RecordingLog:
    """Remembers lines instead of writing them."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def info(self, event: str, /, **fields: Any) -> None:
        self.lines.append({"event": event, "level": "info", **fields})

    def warning(self, event: str, /, **fields: Any) -> None:
        self.lines.append({"event": event, "level": "warning", **fields})

    def error(self, event: str, /, **fields: Any) -> None:
        self.lines.append({"event": event, "level": "error", **fields})

    def exception(self, event: str, /, **fields: Any) -> None:
        self.lines.append({"event": event, "level": "exception", **fields})

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    @property
    def verdicts(self) -> list[str]:
        return [line["verdict"] for line in self.of("callback.received")]


@dataclass
class MemoryQueue:
    """An ``EventQueue`` that remembers batches."""

    batches: list[list[Envelope]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[bool | QueueUnavailableError]:
        self.batches.append(list(envelopes))
        results: list[bool | QueueUnavailableError] = []
        for envelope in envelopes:
            results.append(envelope.id not in self.seen)
            self.seen.add(envelope.id)
        return results

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


@dataclass
class Ingest:
    """A running server as a test sees it."""

    server: IngestServer
    http: aiohttp.ClientSession
    log: RecordingLog

    @property
    def port(self) -> int:
        return self.server.addresses["listen"][0].port

    def url(self, path: str = "/webhooks/inbound-message") -> URL:
        return URL(f"http://127.0.0.1:{self.port}{path}", encoded=True)

    async def send(self, method: str = "POST", path: str = "/webhooks/inbound-message", **options: Any) -> "Reply":
        async with self.http.request(method, self.url(path), **options) as response:
            return Reply(response.status, await response.read(), dict(response.headers))

    async def post_signed(self, body: bytes, path: str = "/webhooks/inbound-message", **claims: Any) -> "Reply":
        return await self.send(path=path, data=body, headers=signed_headers(body, **claims))

    async def admin(self, path: str) -> "Reply":
        url = f"http://127.0.0.1:{self.server.addresses['admin_listen'][0].port}{path}"
        async with self.http.get(url) as response:
            return Reply(response.status, await response.read(), dict(response.headers))


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]


@asynccontextmanager
async def running_ingest(
    redis_url: str,
    accounts: Accounts = ACCOUNTS,
    *,
    log: Any = None,
    limits: IngestLimits | None = None,
    **settings: str,
) -> AsyncIterator[Ingest]:
    """A server on free ports; ``settings`` are ``ACKFIRST_*`` names without the prefix."""
    folder = tempfile.mkdtemp(prefix="ackfirst-data-")
    listen = {"LISTEN": "127.0.0.1:0", "ADMIN_LISTEN": "127.0.0.1:0"}
    # A machine that is busy with other tests is no outage.
    environ = {"REDIS_URL": redis_url, "DATA_DIR": folder, "ACK_DEADLINE": "5", **listen, **settings}
    log = log or RecordingLog()
    loaded = load_settings({f"ACKFIRST_{name}": value for name, value in environ.items()})
    server = IngestServer(loaded, accounts, log=log, limits=limits)
    await server.start()
    timeout = aiohttp.ClientTimeout(total=20)
    connector = aiohttp.TCPConnector(limit=0)
    try:
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
            yield Ingest(server, http, log)
    finally:
        await server.stop()
        shutil.rmtree(folder)
