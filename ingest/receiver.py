"""The core of ingest, free of any framework: verify a callback, make it durable, answer. It always has an answer."""

from collections.abc import Callable
from typing import Final, Protocol

from ackfirst.ingest.http import Answer, Arrival, answer_for
from ackfirst.ingest.request_log import RequestLog, RequestRecord
from ackfirst.ingest.unsigned_memory import UnsignedMemory
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.policy import Fate, Policy, Verdict, ruling
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.envelope_builder import build_envelope
from ackfirst.shared.verification import Verification

#: What is accepted at any path: a URL that was typed wrong at Nexmo must not lose callbacks, for a 404 is final there.
#: The rest would open the quarantine to anyone who scans the internet for other software.
_AT_ANY_PATH: Final = frozenset({Verdict.VERIFIED, Verdict.UNREADABLE, Verdict.SUSPECT})


class CallbackVerifier(Protocol):
    """Judges callbacks. Never raises."""

    def verify(self, callback: Callback, *, now: float) -> Verification:
        """Verify a callback at Unix time ``now``."""


class EventSink(Protocol):
    """Stores verified events."""

    async def put(self, envelope: Envelope) -> bool | None:
        """Make an event durable: True when it is new, False when it was seen before, None when that is not known yet.

        Raises:
            QueueUnavailableError: It may not be durable.
        """


class QuarantineStore(Protocol):
    """Stores callbacks that cannot be confirmed yet."""

    async def add(self, arrival: Arrival, verification: Verification, verdict: Verdict) -> bool:
        """Store a callback; False when there is no room for it.

        Raises:
            QueueUnavailableError: The record may not be durable.
        """


class Receiver:
    """One callback in, one answer out.

    Args:
        accounts: Map events to lanes.
        verifier: Judges callbacks.
        sink: Stores verified events.
        quarantine: Stores callbacks that may be genuine.
        policy: How to answer what cannot be verified.
        request_log: Counts and logs every answer.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        verifier: CallbackVerifier,
        sink: EventSink,
        quarantine: QuarantineStore,
        policy: Policy,
        request_log: RequestLog,
        clock: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._verifier = verifier
        self._sink = sink
        self._quarantine = quarantine
        self._policy = policy
        self._fates = {verdict: ruling(verdict, policy).fate for verdict in Verdict}
        self._request_log = request_log
        self._clock = clock
        self._unsigned = UnsignedMemory()

    async def receive(self, arrival: Arrival) -> Answer:
        """Answer one callback: verify ▸ envelope ▸ durable write or quarantine ▸ answer ▸ record.

        Never raises: whatever goes wrong is answered "unavailable", and the provider sends the callback again.
        """
        callback = arrival.callback
        entry = RequestRecord(callback.path, callback, began=self._clock())
        try:
            entry.verification = verification = self._verifier.verify(callback, now=callback.received_at)
            entry.verdict = verdict = self._verdict(arrival, verification)
            entry.reason = verification.reason
            fate = self._fates[verdict]
            if fate is Fate.QUEUED:
                entry.envelope = envelope = build_envelope(
                    callback, verification, accounts=self._accounts, trace=arrival.trace
                )
                is_new = await self._sink.put(envelope)
                if is_new is None:
                    entry.reason = "spooled"
                elif not is_new:
                    entry.verdict = Verdict.DUPLICATE
            elif fate is Fate.QUARANTINED and not await self._quarantine.add(arrival, verification, verdict):
                entry.verdict = Verdict.SHED
        except QueueUnavailableError:
            entry.verdict, entry.reason = Verdict.UNAVAILABLE, "queue-unavailable"
        except Exception:  # noqa: BLE001 - a bug of ours must not lose the callback: 503 makes the provider retry
            entry.verdict, entry.reason = Verdict.UNAVAILABLE, "internal-error"
            self._request_log.failed()
        return self._answer(entry)

    def refuse(self, verdict: Verdict, reason: str, *, path: str) -> Answer:
        """Answer a callback whose body was not read to its end."""
        return self._answer(RequestRecord(path, None, verdict, reason, began=self._clock()))

    def _verdict(self, arrival: Arrival, verification: Verification) -> Verdict:
        """Add to what verification says what only intake knows: a wrong path, an unsigned body that came before."""
        verdict = verification.verdict
        if not arrival.is_webhook and verdict not in _AT_ANY_PATH:
            return Verdict.WRONG_PATH
        if verdict is Verdict.UNSIGNED and self._unsigned.seen_before(arrival.callback):
            return Verdict.UNSIGNED_AGAIN
        return verdict

    def _answer(self, entry: RequestRecord) -> Answer:
        answer = answer_for(entry.verdict, self._policy)
        entry.status, entry.seconds = answer.status, self._clock() - entry.began
        self._request_log.write(entry)
        return answer
