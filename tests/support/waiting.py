"""Wait for a condition instead of sleeping for a guess."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

POLL = 0.01
SLOWEST_POLL = 0.05


def pause(waited: float, took: float) -> float:
    """Return the pause in seconds after ``waited`` of them, before a look that ``took`` so long last time.

    It grows with the wait, and half of the time is left to those that are waited for: a suite of many waits would be
    busy with looking otherwise.
    """
    return max(took, min(SLOWEST_POLL, max(POLL, waited / 20)))


def wait_until(predicate: Callable[[], Any], *, timeout: float = 10.0, message: str = "") -> Any:
    """Poll until the predicate is true and return its value; fail the test after ``timeout`` seconds."""
    began = asked = time.monotonic()
    while not (value := predicate()):
        now = time.monotonic()
        if now > began + timeout:
            raise AssertionError(f"not true within {timeout} s: {message or predicate}")
        time.sleep(pause(now - began, now - asked))
        asked = time.monotonic()
    return value


async def await_until(
    predicate: Callable[[], Any | Awaitable[Any]], *, timeout: float = 10.0, message: str = ""
) -> Any:
    """The same for a predicate that may be a coroutine function; other tasks run meanwhile."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout} s: {message or predicate}")
        await asyncio.sleep(POLL)
