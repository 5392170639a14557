"""Nexmo's management APIs on a free port, and the real command against them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from ackfirst.simulator.nexmo_api import NexmoAccount, NexmoApis, serve
from tests.support.processes import clean_environment, command_output

PUBLIC_URL = "https://hooks.example.com"

#: An application with everything that published documents, clients and notes know, and with what none of them does.
EVERYTHING: dict[str, Any] = {
    "keys": {"public_key": "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"},
    "privacy": {"improve_ai": False},
    "capabilities": {
        "messages": {
            "version": "v0.1",
            "authenticate_inbound_media": True,
            "x-quota": {"per_day": 7},
            "webhooks": {
                "inbound_url": {"address": "https://old.example.com/in", "http_method": "POST", "x-retry": [1, 2]},
                "status_url": {"address": "https://old.example.com/status", "http_method": "POST"},
                "x-other_url": {"address": "https://old.example.com/other", "http_method": "POST"},
            },
        },
        "voice": {
            "signed_callbacks": True,
            "conversations_ttl": 48,
            "leg_persistence_time": 7,
            "region": "eu-west",
            "webhooks": {
                "answer_url": {
                    "address": "https://old.example.com/answer",
                    "http_method": "GET",
                    "connect_timeout": 500,
                    "socket_timeout": 3000,
                },
                "fallback_answer_url": {"address": "https://old.example.com/fallback", "http_method": "GET"},
                "event_url": {"address": "https://old.example.com/event", "http_method": "POST"},
            },
        },
        "rtc": {"webhooks": {"event_url": {"address": "https://old.example.com/rtc", "http_method": "POST"}}},
        "video": {"webhooks": {"archive_status": {"address": "https://old.example.com/v", "active": True}}},
        "verify": {"version": "v2", "webhooks": {"status_url": {"address": "https://old.example.com/verify"}}},
        "network_apis": {"network_application_id": "n-1", "redirect_uri": "https://old.example.com/redirect"},
        "vbc": {},
        "x-unheard-of": {"numbers": [9007199254740993, 1.5], "text": "ü \u2028", "nothing": None},
    },
    "x-top": {"kept": True},
}


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    output: str


class Operator:
    """Runs ``ackfirst`` commands against the APIs."""

    def __init__(self, url: str, account: NexmoAccount, folder: Path) -> None:
        self.folder = folder
        self.url = url
        self.settings = {
            "ACKFIRST_API_KEY": account.api_key,
            "ACKFIRST_API_SECRET": account.api_secret,
            "ACKFIRST_SIGNATURE_SECRET": "a-signature-secret-of-this-account",
            "ACKFIRST_PUBLIC_URL": PUBLIC_URL,
            "ACKFIRST_NEXMO_API_URL": url,
            "ACKFIRST_NEXMO_REST_URL": url,
            "ACKFIRST_DATA_DIR": str(folder / "data"),
        }
        self._env = clean_environment(**self.settings)

    async def run(self, *args: str, **settings: str) -> Done:
        """Run one command to its end."""
        env = {**self._env, **settings}
        done = await asyncio.to_thread(command_output, *args, cwd=self.folder, env=env, merged=True)
        return Done(done.returncode, done.stdout)

    def backups(self) -> list[Path]:
        """Return the files that were saved."""
        return sorted((self.folder / "data").glob("*/*.json"))


async def nothing(_: web.Request) -> None:
    """A hook that lets a request through."""


async def not_the_api(_: web.Request) -> web.StreamResponse:
    """A hook that answers as a proxy does, or another region."""
    return web.Response(status=404, text="<h1>404</h1>")


@asynccontextmanager
async def nexmo(
    folder: Path, *, allowed: int | None = None, api_key: str = "abcd1234"
) -> AsyncIterator[tuple[NexmoApis, Operator]]:
    """Serve the APIs of one account, and yield them with an operator who knows its secret."""
    account = NexmoAccount(api_key=api_key, api_secret="the-account-secret")
    apis = NexmoApis(account, allowed=allowed)
    runner, port = await serve(apis, "127.0.0.1", 0)
    try:
        yield apis, Operator(f"http://127.0.0.1:{port}", account, folder)
    finally:
        await runner.cleanup()
