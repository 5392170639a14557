"""The cure that the stall demo shows: the test application is deleted only once nothing of it is under way.

Nexmo's management APIs are played; the checks are those of ``ackfirst apps delete``, run as a program, on the queue of
the demo.
"""

import asyncio
import subprocess
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from ackfirst.shared.processes.supervisor import reexec
from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.nexmo_api import NexmoAccount, NexmoApis, serve
from ackfirst.simulator.stack import ROOT, Stack

#: How long nothing may have come before the deletion: as a day is, for a demo in which a minute passes in a second.
QUIET: Final = "3s"
QUIET_SECONDS: Final = 3.0

_API_SECRET: Final = "account-secret-of-the-demo"  # noqa: S105 - of a played account
_COMMAND_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """The outcome of an attempt to delete the test application."""

    is_deleted: bool
    said: str
    """The command's last line."""


class Cure:
    """Plays Nexmo's management APIs in a thread while its ``with`` block runs, and tries to delete an application."""

    def __init__(self, stack: Stack, account: SigningAccount, test: str) -> None:
        self._stack = stack
        self._test = test
        self._nexmo = NexmoAccount(api_key=account.api_key, api_secret=_API_SECRET)
        for id_ in dict.fromkeys(account.applications):
            webhooks = {"inbound_url": {"address": f"{stack.url}/webhooks/inbound-message", "http_method": "POST"}}
            name = "harbour test" if id_ == test else "harbour"
            content: dict[str, Any] = {"capabilities": {"messages": {"version": "v1", "webhooks": webhooks}}}
            self._nexmo.applications[id_] = {"id": id_, "name": name, **content}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nexmo-apis", daemon=True)
        self._port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.run_coroutine_threadsafe(serve(NexmoApis(self._nexmo), "127.0.0.1", 0), self._loop)
        self._runner, self._port = serving.result(_COMMAND_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(_COMMAND_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def attempt(self) -> Attempt:
        """Run ``ackfirst apps delete``."""
        url = f"http://127.0.0.1:{self._port}"
        at_nexmo = {"API_SECRET": _API_SECRET, "NEXMO_API_URL": url, "NEXMO_REST_URL": url}
        done = subprocess.run(  # noqa: S603 - our own command
            reexec("apps", "delete", self._test, "--for", QUIET, "--yes"),
            cwd=ROOT,
            env={**self._stack.environment(), **{f"ACKFIRST_{name}": value for name, value in at_nexmo.items()}},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        said = done.stderr if done.returncode else done.stdout
        return Attempt(self._test not in self._nexmo.applications, (said.strip().splitlines() or ["nothing"])[-1])
