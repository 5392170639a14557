"""A supervised process ends when its supervisor does, even when that was killed with ``kill -9``."""

import ctypes
import os
import signal
import sys
import threading
import time
from typing import Final

#: Environment variable by which a supervisor tells a child who it is. Not a setting, hence without the prefix of one.
SUPERVISOR_PID: Final = "_ACKFIRST_SUPERVISOR_PID"

#: ``linux/prctl.h``: deliver this signal to the caller when the thread that started it ends.
PR_SET_PDEATHSIG: Final = 1

#: Seconds between two looks at the parent, where the kernel cannot be asked to watch it.
POLL_SECONDS: Final = 0.5


def die_with_parent() -> bool:
    """Arrange that this process is killed as soon as the supervisor that started it is gone; whether there is one.

    Does nothing in a process that no supervisor started. SIGKILL, because an orphan must not keep a port or a data
    folder from the next start, and because nothing acknowledged is lost by it.
    """
    # Taken out of the environment: what this process starts has another parent.
    supervisor = int(os.environ.pop(SUPERVISOR_PID, "0"))
    if not supervisor:
        return False
    die_with(supervisor)
    return True


def die_with(parent: int) -> None:
    """Arrange that this process, a child of ``parent``, is killed as soon as that one is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent,), name="parent-death", daemon=True).start()
    # It may have ended before the kernel was asked.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
