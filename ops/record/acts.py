"""Write an operator's acts into the record's audit: who did what to what, and when."""

import getpass
import os
import socket
import time

from ackfirst.shared.store import AuditRow, Store


def operator() -> str:
    """Name who runs this command: the user who became another one by sudo, and the machine."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def note_act(store: Store, act: str, subject: str, detail: str = "") -> None:
    """Record an act of this command. ``subject`` and ``detail`` must hold no personal data.

    Raises:
        StoreUnavailableError: The record does not take it.
    """
    store.audit(AuditRow(time.time(), operator(), act, subject, detail))
