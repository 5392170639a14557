"""Cancel tasks that run for ever, also those that miss a cancellation."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

#: Seconds that a cancelled task has before it is cancelled once more.
REPEAT_SECONDS: Final = 0.1


async def cancel_all(tasks: Sequence[asyncio.Task[Any]], *, within: float) -> list[str]:
    """Cancel tasks again and again for at most ``within`` seconds; return the names of those that still run.

    Python 3.11's ``asyncio.wait_for``, through which redis-py sends, forgets a cancellation that comes in the same turn
    of the loop as its result (``asyncio/tasks.py``; fixed in 3.12): the task then simply goes on.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while (pending := [task for task in tasks if not task.done()]) and loop.time() < deadline:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=REPEAT_SECONDS)
    return [task.get_name() for task in pending]
