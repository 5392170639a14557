"""The two receivers: an application that works inline, and the same work behind ackfirst."""

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ackfirst.shared.processes.free_port import free_port
from ackfirst.simulator.demo_run import ROOT
from ackfirst.simulator.stack import Stack, StackFailed
from ackfirst.simulator.stall.story import Story

#: Seconds.
_START: Final = 30.0
_POLL: Final = 0.05

#: Seconds before the worker's attempts at an event: short, so that the story ends soon after its last callback.
_RETRIES: Final = ",".join(["1", "2"] + ["3"] * 20)


class Stage:
    """All files of one telling, in ``folder``."""

    def __init__(self, folder: Path, story: Story) -> None:
        self._folder = folder
        self._story = story

    def set_broken(self, *, broken: bool) -> None:
        """Break the test application, or mend it."""
        if broken:
            self._broken.touch()
        else:
            self._broken.unlink(missing_ok=True)

    def worked_on(self, name: str) -> Counter[str]:
        """Production's and test's callbacks that the receiver of that name has worked on, each counted once."""
        log = self._log(name)
        lines = set(log.read_text(encoding="utf-8").splitlines()) if log.exists() else set()
        return Counter(line.partition(" ")[0] for line in lines)

    @contextmanager
    def plain_app(self) -> Iterator[str]:
        """Runs it; yields its base URL.

        Raises:
            StackFailed: It did not start.
        """
        port = free_port()
        settings = {**self._settings("plain"), "HARBOUR_SECRET": self._story.account.secret.decode()}
        with (self._folder / "plain.log").open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own example
                [sys.executable, "-m", "examples.plain_app", str(port)],
                cwd=ROOT,
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in the terminal reaches only us
            )
        try:
            _wait_for(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()

    @contextmanager
    def ackfirst(self) -> Iterator[Stack]:
        """Runs the whole stack with the same work as a handler.

        Raises:
            StackFailed: It did not start.
        """
        folder = self._folder / "stack"
        folder.mkdir()
        settings = {**self._settings("ackfirst"), "ACKFIRST_RETRY_SCHEDULE": _RETRIES}
        stack = Stack(
            folder, root=ROOT, account=self._story.account, handlers="examples.stall_handlers", settings=settings
        )
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()

    @property
    def _broken(self) -> Path:
        return self._folder / "broken"

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.txt"

    def _settings(self, name: str) -> dict[str, str]:
        return {
            "HARBOUR_LOG": str(self._log(name)),
            "HARBOUR_BROKEN": str(self._broken),
            "HARBOUR_TEST": self._story.test,
        }


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL)
    raise StackFailed("the plain application did not start: look at plain.log in the folder of the demo")
