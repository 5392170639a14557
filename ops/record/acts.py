"""Write an operator's acts into the record's audit: who did what to what, and when."""

import getpass
import os
import socket
import time
from typing import TYPE_CHECKING

import click

from ackfirst.shared.errors import ConfigurationError, StoreUnavailableError
from ackfirst.shared.settings import Settings

if TYPE_CHECKING:
    from ackfirst.shared.store import Store


def operator() -> str:
    """Name who runs this command: the user who became another one by sudo, and the machine."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def note_act(store: "Store", act: str, subject: str, detail: str = "") -> None:
    """Record an act of this command. ``subject`` and ``detail`` must hold no personal data.

    Raises:
        StoreUnavailableError: The record does not take it.
    """
    from ackfirst.shared.store import AuditRow  # noqa: PLC0415 - its caller has loaded it, importers may never

    store.audit(AuditRow(time.time(), operator(), act, subject, detail))


def note_act_if_recorded(settings: Settings, act: str, subject: str, detail: str = "") -> None:
    """Record an act that has been carried out already and does not need the record.

    Nothing is written where no record is kept: it is off, or no worker has run yet. If the record does not take it, a
    line on stderr says so. ``subject`` and ``detail`` must hold no personal data.
    """
    url = settings.record_url
    if url is None or (settings.store_url is None and not settings.embedded_record.exists()):
        return
    from ackfirst.shared.store import open_store  # noqa: PLC0415 - SQLAlchemy takes a third of a second

    try:
        with open_store(url) as store:
            note_act(store, act, subject, detail)
    except (ConfigurationError, StoreUnavailableError) as error:
        click.echo(f"The audit has no row of this: {error}", err=True)
