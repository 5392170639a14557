"""The work of a small application, for ``ackfirst simulate stall-demo``, with and without ackfirst.

Settings from the environment: HARBOUR_LOG, a file that gets a line for each processed callback;
HARBOUR_BROKEN, a file whose existence means that the test application is broken; HARBOUR_TEST, that one's id.
"""

import os
from pathlib import Path


def work(application: str | None, what: str) -> None:
    """Process a callback: here, write down ``what`` it was.

    Raises:
        RuntimeError: It is the test application's, which is broken at the moment.
    """
    is_test = application == os.environ["HARBOUR_TEST"]
    if is_test and Path(os.environ["HARBOUR_BROKEN"]).exists():
        raise RuntimeError("the test application cannot reach its database")
    with Path(os.environ["HARBOUR_LOG"]).open("a", encoding="utf-8") as log:
        log.write(f"{'test' if is_test else 'production'} {what}\n")
