"""Threads that take work from one queue, whose length and progress can be seen."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """An item of work for a pool."""

    @property
    def has_begun(self) -> bool:
        """Return whether it can no longer be taken back."""


Item = TypeVar("Item", bound=Waiting)


class ThreadPool(Generic[Item]):
    """``threads`` daemon threads: one that hangs does not keep the process from its end.

    The thread that was idle last is woken first. ``queue.Queue`` cannot be looked at, nor put to at its front.
    """

    def __init__(self, threads: int, *, on_room: Callable[[], None]) -> None:
        """``on_room`` is called, in any of the threads, when one has become idle."""
        self._on_room = on_room
        self._lock = threading.Lock()
        self._waiting: deque[Item] = deque()
        self._idle: list[threading.Lock] = []
        self._closing = False
        self._running: list[Item | None] = [None] * threads
        self._threads: list[threading.Thread] = []
        self.size = threads

    def start(self, work: Callable[[Item], None], enter: Callable[[int], None]) -> None:
        """Start the threads; each calls ``enter`` with its number first, and ``work`` with what it takes."""
        self._threads = [
            threading.Thread(target=self._run, args=(number, work, enter), name=f"handler-{number}", daemon=True)
            for number in range(self.size)
        ]
        for thread in self._threads:
            thread.start()

    def close(self, seconds: float) -> None:
        """End the threads that are idle now or in ``seconds``."""
        with self._lock:
            self._closing = True
            idle, self._idle = self._idle, []
        for wake in idle:
            wake.release()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def put(self, item: Item, *, first: bool) -> None:
        """Let a thread work on ``item``, before all that waits if ``first``."""
        with self._lock:
            if first:
                self._waiting.appendleft(item)
            else:
                self._waiting.append(item)
            wake = self._idle.pop() if self._idle else None
        if wake is not None:
            wake.release()

    def take_back(self) -> list[Item]:
        """Remove what has not begun."""
        with self._lock:
            found = [item for item in self._waiting if not item.has_begun]
            self._waiting = deque(item for item in self._waiting if item.has_begun)
        return found

    @property
    def idle(self) -> int:
        """The number of threads that wait for work."""
        return len(self._idle)

    def waiting(self) -> list[Item]:
        """List the items that wait for a thread."""
        with self._lock:
            return list(self._waiting)

    def running(self) -> list[Item]:
        """List the items that threads work on."""
        return [item for item in self._running if item is not None]

    def running_in(self, number: int) -> Item | None:
        """Return the item that the thread of this number works on."""
        return self._running[number]

    def _run(self, number: int, work: Callable[[Item], None], enter: Callable[[int], None]) -> None:
        enter(number)
        wake = threading.Lock()
        wake.acquire()
        while True:
            with self._lock:
                item = self._waiting.popleft() if self._waiting else None
                if item is None:
                    if self._closing:
                        return
                    self._idle.append(wake)
            if item is None:
                self._on_room()
                wake.acquire()  # ``put`` releases it
                continue
            self._running[number] = item
            try:
                work(item)
            finally:
                self._running[number] = None
