"""Whether the ports of ``ackfirst dev`` are free, asked before anything listens on them.

Otherwise another ackfirst on the same ports would be taken for the one that is starting.
"""

import os
import socket

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.types import Address


def check_free(settings: Settings) -> None:
    """Try each address once.

    Raises:
        ConfigurationError: One cannot be listened on, most often because another process does.
    """
    for address in settings.listen:
        _try("listen", address)
    for setting in ("admin_listen", "dashboard_listen"):
        _try(setting, getattr(settings, setting))


def _try(setting: str, address: Address) -> None:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        socket.create_server((address.host, address.port), family=family).close()
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None)
        why = os.strerror(number).lower() if number and number > 0 else str(error)
        raise ConfigurationError(f"cannot listen on {address}: {why}, check ACKFIRST_{setting.upper()}") from error
