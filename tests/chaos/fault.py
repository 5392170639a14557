"""Define a fault: how it is caused, and what it may cost at most."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ackfirst.workers.engine.fetch import MOST_UNSETTLED
from ackfirst.workers.engine.pace import MOST_JOBS

if TYPE_CHECKING:
    from tests.chaos.load import Load
    from tests.chaos.world import World

#: Most events that may run again after the death of an engine: those whose handlers had ended and whose end was not
#: yet in Redis. A job that has ended waits 2 ms for others and then for a settlement with its sync, 5 ms in all. Of
#: handlers that take longer, each of the eight threads has ended one in that time. Of handlers that take no time, as
#: many have ended as came in it: 7.5 of the burst's 1,500 a second.
AGAIN_A_DEATH: Final = 8
#: The same when the engine dies while it works off what came during its last death, as fast as it can, with handlers
#: that take no time: what may have ended when a fetch begins, what that fetch brings, and one of each thread.
AGAIN_IN_A_BACKLOG: Final = MOST_UNSETTLED + MOST_JOBS + AGAIN_A_DEATH
#: Of a genuine callback: no answer at all, because the process that had it was killed or nothing listened.
NO_ANSWER = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row of the matrix.

    ``strike`` is called once the load runs, and returns when the fault is over: the clock of the recovery starts there.
    """

    name: str
    about: str
    """One line for ``--list`` and for the page."""
    strike: "Callable[[World, Load], None]"
    lasts: float = 0.0
    """Seconds that ``strike`` takes, so that a steady load goes on beyond it."""
    handlers: str = "note"
    """Which handlers of ``tests/chaos/handlers.py`` run."""
    ingest: tuple[str, ...] = ()
    """Options of ``ackfirst ingest``."""
    worker: tuple[str, ...] = ()
    """Options of ``ackfirst worker``."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Settings of both."""
    proxied: bool = False
    """Whether ingest reaches Redis through a proxy that can misbehave."""
    clock: bool = False
    """Whether all processes live by a clock that can be set."""
    alone: bool = False
    """Whether it needs all CPUs for itself, so that no other row may run beside it."""
    disk: str | None = None
    """Size of a disk of its own for the data folder, as ``mount`` takes it; None for the machine's."""
    store: str = ""
    """Where the record is, and is compared: ``sqlite`` in the data folder, ``postgresql``; empty: no record is kept."""
    duplicates: float = 0.02
    """Share of the traffic that is sent twice."""
    refusals: frozenset[int | None] = frozenset()
    """Answers other than 200 that a genuine callback may get; the provider then comes again."""
    rate: float | None = None
    """Callbacks a second of a steady load, if not those of all rows."""
    ack_longest: float | None = None
    """Most milliseconds of any first answer; counts also where others run beside it."""
    ack_p99: float | None = None
    """Most milliseconds in which 99 % of the answers are there."""
    recovery: float = 15.0
    """Most seconds until everything acknowledged before the end of the fault is handled."""
    again: int | None = 0
    """Most events that handlers finish more than once; None for any number."""
    again_a_death: int = 0
    """The same for each engine that a handler ends, which are as many as the events tell."""
    dead: int = 0
    """Dead letters that are right."""
    quick: bool = False
    """Whether it is in the half that runs with the tests."""
