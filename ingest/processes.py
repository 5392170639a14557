"""Run ``--processes N``: a supervisor over processes that share the ports and add up their metrics."""

import socket
import tempfile

from ackfirst.ingest.app import cannot_listen
from ackfirst.ingest.metrics import SHARED_FOLDER
from ackfirst.ingest.request_log import Log
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.processes.child import Child
from ackfirst.shared.processes.supervisor import Supervisor, reexec
from ackfirst.shared.settings import Address, Settings


def run_processes(settings: Settings, count: int, *, log: Log) -> int:
    """Run ``count`` processes until a stop signal; return the exit code.

    Raises:
        ConfigurationError: A port is in use, or 0.
    """
    for address in settings.listen:
        _check_free("listen", address)
    _check_free("admin_listen", settings.admin_listen)
    with tempfile.TemporaryDirectory(prefix="ackfirst-metrics-") as folder:
        children = [
            Child(name=f"ingest-{number}", argv=reexec("ingest", "--member"), env={SHARED_FOLDER: folder})
            for number in range(1, count + 1)
        ]
        return Supervisor(children, grace=settings.stop_grace, log=log).run()


def _check_free(setting: str, address: Address) -> None:
    """Bind for a moment without ``SO_REUSEPORT``, with which a port that another group serves would look free."""
    if not address.port:
        raise ConfigurationError(f"several processes cannot share port 0, check ACKFIRST_{setting.upper()}")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # as asyncio listens: [::] leaves IPv4 to an address of its own
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(place)
    except OSError as error:
        raise cannot_listen(setting, address, error) from error
