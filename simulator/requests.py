"""The bytes of each attempt: signed when it is due, ahead of time, or once more as they were."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.pace import Pace
from ackfirst.simulator.planned import Kind, Planned
from ackfirst.simulator.signing import Signer
from ackfirst.simulator.wire import Place, encode

#: Callbacks that are signed before the clock starts when they are to go out as fast as possible.
MOST_AHEAD: Final = 100_000


class Requests:
    """Makes requests for one place; ``now`` gives Unix seconds."""

    def __init__(self, signer: Signer, place: Place, pace: Pace, now: Callable[[], float]) -> None:
        self.api_key = signer.api_key
        self._signer = signer
        self._place = place
        self._pace = pace
        self._now = now
        self._ahead: Iterator[bytes | None] = iter(())
        self._kept: dict[Delivery, bytes] = {}

    def prepare(self, traffic: Sequence[Planned]) -> None:
        """Sign now what will be taken in first."""
        self._ahead = iter([self._early(planned) for planned in traffic[:MOST_AHEAD]])

    def take_in(self, delivery: Delivery) -> None:
        """Its request is needed soon; deliveries come in the order of the traffic that was prepared."""
        request = next(self._ahead, None)
        if request is not None:
            self._kept[delivery] = request

    def make(self, delivery: Delivery, *, signed: bool) -> bytes:
        """What the next attempt sends."""
        kept = self._kept.get(delivery) if self._pace.keep_token else self._kept.pop(delivery, None)
        if kept is not None:
            return kept
        made = self._sign(delivery.planned, signed=signed)
        if self._pace.keep_token and signed:
            self._kept[delivery] = made
        return made

    def forget(self, delivery: Delivery) -> None:
        """There will be no further attempt."""
        self._kept.pop(delivery, None)

    def _early(self, planned: Planned) -> bytes | None:
        """None where the first request is not the one that a retry could repeat."""
        return None if planned.kind is Kind.UNSIGNED else self._sign(planned, signed=True)

    def _sign(self, planned: Planned, *, signed: bool) -> bytes:
        return encode(self._signer.request(planned, signed=signed, now=self._now() + self._pace.skew), self._place)
