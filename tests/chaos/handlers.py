"""Handlers of the worker processes, one set for each value of ``CHAOS_HANDLERS``.

What a handler has finished is one line in the file ``CHAOS_NOTES``, written by one call that appends. Which events a
handler goes wrong with is decided by the event's own id: the same in every process and in every attempt.
"""

import ctypes
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from ackfirst import Context, Event, on

NOTES = os.open(os.environ["CHAOS_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
ONCE = Path(os.environ["CHAOS_NOTES"]).parent / "once"
CALM = Path(os.environ["CHAOS_NOTES"]).parent / "calm"
KIND = os.environ["CHAOS_HANDLERS"]
HELD: list[bytearray] = []


def finished(event: Event) -> None:
    """Write down that the event has had its effect."""
    os.write(NOTES, f"{event.id} {time.monotonic()}\n".encode())


def one_in(event: Event, many: int) -> bool:
    """Whether it is one of those events; the same answer each time."""
    return int(event.id[-8:], 16) % many == 0


def first_time(event: Event) -> bool:
    """Whether this is asked for the first time, whichever process asks."""
    try:
        (ONCE / event.id).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def note(event: Event) -> None:
    """Nothing else."""
    finished(event)


def slow(event: Event) -> None:
    """Take long enough to be killed in the middle."""
    time.sleep(0.01)
    finished(event)


def burns(event: Event) -> None:
    """Use a CPU for a tenth of a second, at every other event, until it is calm: several engines leave none free."""
    end = time.thread_time() + (0.1 if one_in(event, 2) and not CALM.exists() else 0.0)
    while time.thread_time() < end:
        pass
    finished(event)


def raises(event: Event, context: Context) -> None:
    """Fail at the first attempt."""
    if one_in(event, 10) and context.attempt == 1:
        raise RuntimeError("as ordered")
    finished(event)


def hangs(event: Event, context: Context) -> None:
    """Never come back at the first attempt, and catch what can be caught."""
    if one_in(event, 150) and context.attempt == 1:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(Exception):  # that is what such handlers do
                time.sleep(0.05)  # one long call into C would hear no timeout, and cost the process
    finished(event)


def ignores(event: Event, context: Context) -> None:
    """Never come back at the first attempt, and catch even what no handler should."""
    if one_in(event, 300) and context.attempt == 1:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(BaseException):
                time.sleep(60)
    finished(event)


def exits(event: Event) -> None:
    """End the whole process, once for an event."""
    if one_in(event, 300) and first_time(event):
        os._exit(3)
    finished(event)


def crashes(event: Event) -> None:
    """Read where nothing is, once for an event: the process ends by SIGSEGV."""
    if one_in(event, 300) and first_time(event):
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(0)
    finished(event)


def leaks(event: Event) -> None:
    """Keep half a megabyte for every event, and touch it."""
    HELD.append(bytearray(b"x" * 524_288))
    finished(event)


def dies_after(event: Event) -> None:
    """Be killed a moment after the handler's end, before or while the worker writes it down."""
    finished(event)
    if one_in(event, 300) and first_time(event):
        delay = int(event.id[-10:-8], 16) / 256 * 0.004
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()


on(timeout=1.0 if KIND in ("hangs", "ignores") else 30.0)(globals()[KIND])
