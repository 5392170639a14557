"""Who goes first when more requests wait than a turn of the event loop takes."""

import asyncio
from dataclasses import dataclass

from ackfirst.ingest.admission import Admission


@dataclass
class Connection:
    name: int
    was_refused: bool = False
    has_left: bool = False


async def order(connections: list[Connection], *, limit: int) -> list[tuple[int, bool]]:
    """Let all of them ask in one turn; names and permissions, as they go."""
    admission, gone = Admission(limit), list[tuple[int, bool]]()

    async def ask(connection: Connection) -> None:
        gone.append((connection.name, await admission.enter(connection)))

    await asyncio.gather(*map(ask, connections))
    return gone


async def test_a_turn_that_has_room_takes_requests_as_they_come() -> None:
    assert await order([Connection(n) for n in range(5)], limit=8) == [(n, True) for n in range(5)]


async def test_a_request_that_does_not_wait_is_answered_though_its_sender_has_closed_its_side() -> None:
    assert await order([Connection(1, has_left=True)], limit=8) == [(1, True)]


async def test_of_those_that_wait_the_newest_goes_first() -> None:
    assert [name for name, _ in await order([Connection(n) for n in range(6)], limit=2)] == [0, 1, 5, 4, 3, 2]


async def test_what_a_sender_has_given_up_is_not_worked_on() -> None:
    connections = [Connection(0), Connection(1, has_left=True), Connection(2)]
    assert await order(connections, limit=1) == [(0, True), (2, True), (1, False)]


async def test_a_sender_that_was_refused_waits_behind_others_but_gets_every_fourth_place() -> None:
    strangers = [Connection(n, was_refused=True) for n in range(100, 140)]
    genuine = [Connection(n) for n in range(12)]
    went = [name for name, _ in await order([*strangers, *genuine], limit=8)]
    assert max(went.index(n) for n in range(12)) < 8 + 16
    assert sum(name >= 100 for name in went[8:24]) == 4


async def test_a_request_whose_connection_was_lost_takes_no_place() -> None:
    admission = Admission(1)
    first, kept, lost = [asyncio.ensure_future(admission.enter(Connection(n))) for n in range(3)]
    await asyncio.sleep(0)
    lost.cancel()
    assert await first
    assert await kept
    assert lost.cancelled()


async def test_every_request_gets_its_turn() -> None:
    assert len(await order([Connection(n, was_refused=bool(n % 3)) for n in range(500)], limit=7)) == 500
