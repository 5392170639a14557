"""The core of the edge, free of any framework: verify, make durable, rule. It always has an answer."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from ackfirst.ingest.http import Answer, Arrival, answer
from ackfirst.ingest.request_log import AckLog, Acknowledgement
from ackfirst.ingest.unsigned_memory import UnsignedMemory
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.policy import Fate, Policy, Verdict, ruling
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.envelope_builder import build_envelope
from ackfirst.shared.verification import Verification


class CallbackVerifier(Protocol):
    """Says what to believe of a callback. Never raises."""

    def verify(self, callback: Callback, *, now: float) -> Verification:
        """The verdict at Unix time ``now``."""


class EventSink(Protocol):
    """Where verified events go."""

    async def put(self, envelope: Envelope) -> bool | None:
        """Make an event durable: True when it is new, False when it was seen before, None when that is not known yet.

        Raises:
            QueueUnavailableError: It may not be durable.
        """

    def offer(self, envelope: Envelope, told: Callable[[bool | Exception], None]) -> bool:
        """``put`` for who has no coroutine: ``told`` hears the result once. False when only ``put`` can help."""

    async def rescue(self, envelope: Envelope, error: Exception) -> None:
        """Make an event durable elsewhere whose offer came to ``error``.

        Raises:
            QueueUnavailableError: It may not be durable.
            Exception: ``error`` itself, when that is beyond help.
        """


class Siding(Protocol):
    """Where callbacks go that nobody can vouch for yet."""

    async def park(self, arrival: Arrival, verification: Verification, verdict: Verdict) -> bool:
        """Keep a callback; False when there is no room for it.

        Raises:
            QueueUnavailableError: The record may not be durable.
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
        self._fates = {verdict: ruling(verdict, policy).fate for verdict in Verdict}
        self._ack_log = ack_log
        self._clock = clock
        self._unsigned = UnsignedMemory()
        self._begun: list[tuple[Arrival, Acknowledgement, Callable[[Answer], None]]] = []
        self._late: set[asyncio.Task[None]] = set()

    async def receive(self, arrival: Arrival) -> Answer:
        """Answer a callback. Never raises: what nobody foresaw is "unavailable", and the provider sends it again."""
        ack = self._open(arrival)
        try:
            await self._settle(arrival, ack, self._judge(arrival, ack))
        except Exception as error:  # noqa: BLE001 - the provider must hear 503, whatever it is
            self._give_up(ack, error)
        return self._conclude(ack)

    def begin(self, arrival: Arrival, reply: Callable[[Answer], None]) -> None:
        """``receive`` without a coroutine, which costs as much as all else here: ``reply`` is given the answer, once.

        It begins at the end of the event loop's turn, with all that came in it. What has to wait for more than its
        place in a batch becomes a task after all.
        """
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._go)
        self._begun.append((arrival, self._open(arrival), reply))

    def _go(self) -> None:
        """Take all that came in a turn step by step: a step takes half the time while its code is in the caches."""
        begun, self._begun = self._begun, []
        fates = [self._fate(arrival, ack) for arrival, ack, _ in begun]
        for (arrival, ack, reply), fate in zip(begun, fates, strict=True):
            self._follow(arrival, ack, reply, fate)

    def _fate(self, arrival: Arrival, ack: Acknowledgement) -> Fate:
        try:
            return self._judge(arrival, ack)
        except Exception as error:  # noqa: BLE001 - as above
            self._give_up(ack, error)
            return Fate.COUNTED

    def _follow(self, arrival: Arrival, ack: Acknowledgement, reply: Callable[[Answer], None], fate: Fate) -> None:
        try:
            if fate is Fate.QUEUED and self._sink.offer(self._seal(arrival, ack), partial(self._told, ack, reply)):
                return
        except Exception as error:  # noqa: BLE001 - as above
            self._give_up(ack, error)
            fate = Fate.COUNTED
        if fate is Fate.COUNTED:
            self._end(ack, reply)
        else:
            self._go_on(ack, reply, lambda: self._settle(arrival, ack, fate))

    def refuse(self, verdict: Verdict, reason: str) -> Answer:
        """Answer a callback whose body was not read to its end."""
        return self._conclude(Acknowledgement(verdict, reason, None, began=self._clock()))

    def _open(self, arrival: Arrival) -> Acknowledgement:
        callback, now = arrival.callback, self._clock()
        return Acknowledgement(Verdict.UNAVAILABLE, "internal-error", len(callback.body), callback, began=now)

    def _judge(self, arrival: Arrival, ack: Acknowledgement) -> Fate:
        callback = arrival.callback
        verification = self._verifier.verify(callback, now=callback.received_at)
        ack.verification, ack.reason = verification, verification.reason
        verdict = verification.verdict
        if verdict is Verdict.UNSIGNED and self._unsigned.seen_before(callback):
            verdict = Verdict.UNSIGNED_AGAIN
        ack.verdict = verdict
        return self._fates[verdict]

    def _seal(self, arrival: Arrival, ack: Acknowledgement) -> Envelope:
        assert ack.verification is not None  # noqa: S101 - judged by now, here for the type checker
        ack.envelope = build_envelope(arrival.callback, ack.verification, accounts=self._accounts, trace=arrival.trace)
        return ack.envelope

    async def _settle(self, arrival: Arrival, ack: Acknowledgement, fate: Fate) -> None:
        """Do what must be done before the answer."""
        if fate is Fate.QUEUED:
            _queued(ack, await self._sink.put(ack.envelope or self._seal(arrival, ack)))
        elif fate is Fate.QUARANTINED:
            assert ack.verification is not None  # noqa: S101 - as above
            if not await self._siding.park(arrival, ack.verification, ack.verdict):
                ack.verdict = Verdict.SHED

    def _told(self, ack: Acknowledgement, reply: Callable[[Answer], None], result: bool | Exception) -> None:  # noqa: FBT001 - what a batch says of an event
        """What became of an event that was offered."""
        if isinstance(result, Exception):
            self._go_on(ack, reply, lambda: self._rescue(ack, result))
        else:
            _queued(ack, result)
            self._end(ack, reply)

    async def _rescue(self, ack: Acknowledgement, error: Exception) -> None:
        assert ack.envelope is not None  # noqa: S101 - it was offered, here for the type checker
        await self._sink.rescue(ack.envelope, error)
        _queued(ack, None)

    def _go_on(
        self, ack: Acknowledgement, reply: Callable[[Answer], None], work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Do ``work`` in a task, then answer."""
        task = asyncio.get_running_loop().create_task(self._finish(ack, reply, work))
        self._late.add(task)  # the loop itself would not keep it from the garbage collector
        task.add_done_callback(self._late.discard)

    async def _finish(
        self, ack: Acknowledgement, reply: Callable[[Answer], None], work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the provider must hear 503, whatever it is
            self._give_up(ack, error)
        self._end(ack, reply)

    def _give_up(self, ack: Acknowledgement, error: Exception) -> None:
        ack.verdict, ack.reason = Verdict.UNAVAILABLE, "queue-unavailable"
        if not isinstance(error, QueueUnavailableError):
            ack.reason = "internal-error"
            self._ack_log.failed()

    def _end(self, ack: Acknowledgement, reply: Callable[[Answer], None]) -> None:
        try:
            reply(self._conclude(ack))
        except Exception:  # noqa: BLE001 - others of the same batch are still to be answered
            self._ack_log.failed()

    def _conclude(self, ack: Acknowledgement) -> Answer:
        said = answer(ack.verdict, self._policy)
        ack.status, ack.seconds = said.status, self._clock() - ack.began
        self._ack_log.write(ack)
        return said


def _queued(ack: Acknowledgement, new: bool | None) -> None:  # noqa: FBT001 - what an ``EventSink`` says
    if new is None:
        ack.reason = "spooled"
    ack.verdict = Verdict.DUPLICATE if new is False else Verdict.VERIFIED
