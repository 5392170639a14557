"""Wait for a condition instead of sleeping for a guess."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

POLL = 0.01


def wait_until(predicate: Callable[[], Any], *, timeout: float = 10.0, message: str = "") -> Any:
    """Poll until the predicate is true and return its value; fail the test after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout} s: {message or predicate}")
        time.sleep(POLL)
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
