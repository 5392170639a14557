"""The core of the edge, free of any framework: verify, make durable, rule. It always has an answer."""

from collections.abc import Callable
from typing import Protocol

from ingest.ack_log import AckLog, Acknowledgement
from ingest.arrival import Answer, Arrival, answer
from ingest.unsigned_memory import UnsignedMemory
from shared.accounts import Accounts
from shared.envelope import Envelope
from shared.errors import QueueUnavailable
from shared.nexmo.callback import Callback
from shared.policy import Fate, Policy, Verdict, ruling
from shared.sealing import build_envelope
from shared.verification import Verification


class CallbackVerifier(Protocol):
    """Says what to believe of a callback. Never raises."""

    def verify(self, callback: Callback, *, now: float) -> Verification:
        """The verdict at Unix time ``now``."""


class EventSink(Protocol):
    """Where verified events go."""

    async def put(self, envelope: Envelope) -> bool | None:
        """Make an event durable: True when it is new, False when it was seen before, None when that is not known yet.

        Raises:
            QueueUnavailable: It may not be durable.
        """


class Siding(Protocol):
    """Where callbacks go that nobody can vouch for yet."""

    async def park(self, arrival: Arrival, verification: Verification, verdict: Verdict) -> bool:
        """Keep a callback; False when there is no room for it.

        Raises:
            QueueUnavailable: The record may not be durable.
        """


class Receiver:
    """One callback in, one answer out.

    Args:
        accounts: Whose lanes events go to.
        verifier: What to believe.
        sink: Where verified events go.
        siding: Where doubtful callbacks go.
        policy: How to answer what cannot be verified.
        ack_log: Is told about every answer.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        verifier: CallbackVerifier,
        sink: EventSink,
        siding: Siding,
        policy: Policy,
        ack_log: AckLog,
        clock: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._verifier = verifier
        self._sink = sink
        self._siding = siding
        self._policy = policy
        self._ack_log = ack_log
        self._clock = clock
        self._unsigned = UnsignedMemory()

    async def receive(self, arrival: Arrival) -> Answer:
        """Answer a callback. Never raises: what nobody foresaw is "unavailable", and the provider sends it again."""
        started = self._clock()
        callback = arrival.callback
        ack = Acknowledgement(Verdict.UNAVAILABLE, "internal-error", len(callback.body), callback)
        try:
            await self._decide(arrival, ack)
        except QueueUnavailable:
            ack.verdict, ack.reason = Verdict.UNAVAILABLE, "queue-unavailable"
        except Exception:  # noqa: BLE001 - the provider must hear 503, whatever it is
            ack.verdict, ack.reason = Verdict.UNAVAILABLE, "internal-error"
            self._ack_log.failed()
        return self._conclude(ack, started)

    def refuse(self, verdict: Verdict, reason: str) -> Answer:
        """Answer a callback whose body was not read to its end."""
        return self._conclude(Acknowledgement(verdict, reason, None), self._clock())

    def _conclude(self, ack: Acknowledgement, started: float) -> Answer:
        said = answer(ack.verdict, self._policy)
        ack.status, ack.seconds = said.status, self._clock() - started
        self._ack_log.write(ack)
        return said

    async def _decide(self, arrival: Arrival, ack: Acknowledgement) -> None:
        callback = arrival.callback
        verification = self._verifier.verify(callback, now=callback.received_at)
        ack.verification, ack.reason = verification, verification.reason
        verdict = verification.verdict
        if verdict is Verdict.UNSIGNED and self._unsigned.seen_before(callback):
            verdict = Verdict.UNSIGNED_AGAIN
        match ruling(verdict, self._policy).fate:
            case Fate.QUEUED:
                verdict = await self._queue(arrival, verification, ack)
            case Fate.QUARANTINED:
                parked = await self._siding.park(arrival, verification, verdict)
                verdict = verdict if parked else Verdict.SHED
            case Fate.COUNTED:
                pass
        ack.verdict = verdict

    async def _queue(self, arrival: Arrival, verification: Verification, ack: Acknowledgement) -> Verdict:
        ack.envelope = build_envelope(arrival.callback, verification, accounts=self._accounts, trace=arrival.trace)
        new = await self._sink.put(ack.envelope)
        if new is None:
            ack.reason = "spooled"
        return Verdict.DUPLICATE if new is False else Verdict.VERIFIED
