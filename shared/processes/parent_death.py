"""End a supervised process with its supervisor, even if that was killed with ``kill -9``."""

import ctypes
import os
import signal
import sys
import threading
import time
from typing import Final

#: Environment variable with the supervisor's process id. No setting, hence the underscore before the prefix.
SUPERVISOR_PID: Final = "_ACKFIRST_SUPERVISOR_PID"

#: ``linux/prctl.h``: deliver this signal to the caller when the thread that started it ends.
PR_SET_PDEATHSIG: Final = 1

#: Time between two checks of the parent, where the kernel cannot watch it.
POLL_SECONDS: Final = 0.5


def die_with_parent() -> bool:
    """Have this process killed as soon as the supervisor that started it is gone; return whether there is one.

    Does nothing in a process that no supervisor started. SIGKILL, because an orphan must not keep a port or a data
    folder from the next start, and because it loses nothing that was acknowledged.
    """
    # Removed from the environment: processes that this one starts have another parent.
    supervisor = int(os.environ.pop(SUPERVISOR_PID, "0"))
    if not supervisor:
        return False
    die_with(supervisor)
    return True


def die_with(parent: int) -> None:
    """Have this process, a child of ``parent``, killed as soon as its parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent,), name="parent-death", daemon=True).start()
    # The parent may have ended before the kernel was asked.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
