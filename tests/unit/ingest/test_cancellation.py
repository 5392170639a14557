"""Tasks that run for ever are ended, whatever becomes of the first cancellation."""

import asyncio
import contextlib
import sys

import pytest

from ackfirst.ingest.cancellation import REPEAT_SECONDS, cancel_all


async def test_a_task_that_ends_at_once_is_not_waited_for() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await cancel_all([task], within=5) == []
    assert task.cancelled()
    assert loop.time() - began < REPEAT_SECONDS


async def test_a_cancellation_that_gets_lost_is_repeated() -> None:
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    assert await cancel_all([task], within=5) == []
    assert lost == 3


async def test_one_that_never_hears_is_given_up_and_named() -> None:
    stop = asyncio.Event()

    async def stubborn() -> None:
        while not stop.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await stop.wait()

    task = asyncio.create_task(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    assert await cancel_all([task], within=0.3) == ["stubborn"]
    stop.set()
    await task


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.12 and later do not lose it")
async def test_wait_for_of_python_3_11_loses_a_cancellation_that_comes_with_its_result() -> None:
    results = 0
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def asks_for_ever() -> None:
        nonlocal results
        await asyncio.wait_for(ready, timeout=5)
        results += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(asks_for_ever())
    await asyncio.sleep(0)
    ready.set_result(None)
    assert await cancel_all([task], within=5) == []
    assert results == 1, "the first cancellation was lost, the second one was heard"
