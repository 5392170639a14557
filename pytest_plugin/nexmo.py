"""A simulated Nexmo and everything between it and a handler that needs no server: one object for each test."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import ModuleType, TracebackType
from typing import Any, Final, Self

import structlog

from ackfirst import Context
from ackfirst.pytest_plugin.running import Handled, Running
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.policy import Policy, Verdict, ruling
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.envelope_builder import build_envelope
from ackfirst.shared.queue.parse import parse
from ackfirst.shared.settings import load_settings
from ackfirst.shared.verification import Verification, Verifier
from ackfirst.simulator.account import SigningAccount, made_up_applications
from ackfirst.simulator.crafting import craft
from ackfirst.simulator.planned import genuine
from ackfirst.simulator.signing import Request, Signer
from ackfirst.workers.processing.dispatch import Clock

#: A made-up account.
API_KEY: Final = "k7m2p9qa"
_SECRET: Final = b"a-secret-of-tests-0123456789-abcdefghij"


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of one callback."""

    status: int
    """The answer that Nexmo gets under the default policy."""
    verdict: str
    """Such as ``verified``, ``duplicate`` or ``unsigned``; ``ackfirst policy`` lists them."""
    event: Event | None
    """None if the callback was not verified."""
    outcome: str | None
    """``processed``, ``discarded``, ``retried`` or ``dead``; None if no handler ran."""


class Nexmo:
    """Sends signed callbacks to the handlers under test, and returns their outcomes."""

    def __init__(self, *, folder: Path | None = None, now: Callable[[], float] = time.time) -> None:
        """Handler modules are searched in ``folder`` first; ``now`` gives the Unix time at which the test begins."""
        self._now = now()
        self._rng = Random(0)  # noqa: S311 - ids of a test, the same in every run
        self._account = SigningAccount(api_key=API_KEY, secret=_SECRET, applications=made_up_applications(API_KEY))
        self._accounts = Accounts([Account(api_key=API_KEY, secrets=(_SECRET,))])
        self._signer = Signer(self._account, self._rng)
        self._verifier = Verifier(self._accounts)
        self._seen: set[str] = set()
        clock = Clock(wall=lambda: self._now, steady=time.monotonic)
        self._running = Running(load_settings({}), clock, folder=folder or Path.cwd())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    @property
    def handled(self) -> list[Handled]:
        """Every attempt of a handler so far, in order."""
        return self._running.handled

    @property
    def events(self) -> list[Event]:
        """The events that handlers saw, each listed once."""
        return list({one.event.id: one.event for one in self.handled}.values())

    def use(self, *modules: str | ModuleType) -> None:
        """Run the handlers of these modules too.

        Raises:
            ConfigurationError: A module cannot be imported, or a handler in it cannot work.
        """
        self._running.use(*(name if isinstance(name, str) else name.__name__ for name in modules))

    def send(self, family: str, *, signed: bool = True, **wishes: Any) -> Sent:
        """Send a callback, and run the handlers that match its event.

        Args:
            family: ``inbound-message``, ``message-status``, ``inbound-sms``, ``delivery-receipt`` or ``other``.
            signed: Whether it carries a signature.
            wishes: Its fields; see ``ackfirst.simulator.crafting.craft``.

        Raises:
            ValueError: There is no such callback; the message names the possible values.
        """
        return self.deliver(self.request(family, signed=signed, **wishes))

    def request(self, family: str, *, signed: bool = True, application: str | None = None, **wishes: Any) -> Request:
        """Return the signed request, for an application that receives callbacks itself. Arguments as in ``send``."""
        content = craft(family, rng=self._rng, at=self._now, **wishes)
        planned = genuine(content, self._account, application or self._account.applications[0])
        return self._signer.request(planned, signed=signed, now=self._now)

    def deliver(self, request: Request) -> Sent:
        """Verify a request, make its event and run its handlers. The same request again is a duplicate."""
        callback = request.received(self._now)
        found = self._verifier.verify(callback, now=self._now)
        verdict, event, outcome = found.verdict, None, None
        if verdict is Verdict.VERIFIED:
            event = self._event(callback, found)
            if event.id in self._seen:
                verdict = Verdict.DUPLICATE
            else:
                self._seen.add(event.id)
                outcome = self._running.run(event)
        return Sent(ruling(verdict, Policy.NEVER_STALL).status, verdict.value, event, outcome)

    def run_retries(self) -> int:
        """Let time pass until no handler has a retry left; return the number of attempts."""
        before = len(self.handled)
        while (due := self._running.next_retry()) is not None:
            self._now = max(self._now, due)
            self._running.retry(self._now)
        return len(self.handled) - before

    def event(self, family: str, **wishes: Any) -> Event:
        """Return an event as a handler gets it, to call one directly. Arguments as in ``send``."""
        callback = self.request(family, **wishes).received(self._now)
        return self._event(callback, self._verifier.verify(callback, now=self._now))

    def _event(self, callback: Callback, found: Verification) -> Event:
        envelope = build_envelope(callback, found, accounts=self._accounts, trace=None)
        return parse(Envelope.decode(envelope.encode()))


def context() -> Context:
    """Return the context of a first attempt."""
    log = structlog.get_logger("ackfirst.workers.handlers.handler")
    return Context(
        attempt=1, retries_left=6, handler="test", idempotency_key=f"{Family.OTHER.facts.letter}-0:test", log=log
    )
