"""Traffic as the provider sends it, in a thread, while the main thread brings about the fault."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from yarl import URL

from ackfirst.simulator.rules import Pace
from ackfirst.simulator.run import Plan, Result, run, traffic
from ackfirst.simulator.traffic import Shares
from tests.chaos.world import ACCOUNT
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from ackfirst.simulator.planned import Planned


class Kind(StrEnum):
    """How callbacks come."""

    STEADY = "steady"
    BURST = "burst"


@dataclass(frozen=True, slots=True)
class Shape:
    """How many a second, and for how many seconds beyond the fault's own time."""

    rate: float
    seconds: float


#: Open loop, both. A burst is faster than one ingest process with a busy neighbour takes it.
SHAPES: Final = {Kind.STEADY: Shape(300.0, 2.5), Kind.BURST: Shape(1500.0, 0.5)}
QUICK: Final = {Kind.STEADY: Shape(150.0, 2.5), Kind.BURST: Shape(1000.0, 0.4)}
#: Part of the traffic that is through before the fault strikes.
BEFORE: Final = 0.2
#: Requests in flight: more than any row needs, so that the loop stays open.
MOST: Final = 2000


class Load:
    """One run of the simulator."""

    def __init__(self, url: str, kind: Kind, shape: Shape, *, lasts: float, duplicates: float, seed: int) -> None:
        seconds = shape.seconds + (lasts if kind is Kind.STEADY else 0.0)
        shares = Shares(duplicates=duplicates, wrong_secret=0, unsigned=0, tampered=0.01)
        pace = Pace(rate=shape.rate, concurrency=MOST, retry_delays=(0.5, 1, 2, 4, 8, 8))
        self._plan = Plan(
            target=URL(url), account=ACCOUNT, count=int(shape.rate * seconds), seed=seed, shares=shares, pace=pace
        )
        self.planned: Sequence[Planned] = traffic(self._plan, start=time.time())
        self.kind = kind
        self._answered = 0
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._send, name="load", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wait_for(self, share: float) -> None:
        """Return when that part of the callbacks was answered, or is no longer on its way."""
        wanted = share * len(self.planned)
        wait_until(lambda: self._answered >= wanted or not self._thread.is_alive(), timeout=60)

    def send_again(self) -> None:
        """Send everything once more, as a provider does that has missed our answers."""
        self.join()
        self._thread = threading.Thread(target=self._send, name="load-again", daemon=True)
        self._thread.start()

    def join(self) -> Sequence[Result]:
        """What came of it, once the last retry is through."""
        self._thread.join(180)
        assert not self._thread.is_alive(), "the simulator has not come to an end"
        if self._error:
            raise self._error
        return self._results

    def _send(self) -> None:
        try:
            self._results.append(run(self._plan, self.planned, on_answer=self._count))
        except BaseException as error:  # noqa: BLE001 - it is raised again in the main thread
            self._error = error

    def _count(self) -> None:
        self._answered += 1
