"""``python -I -m ackfirst.ops.health``: check the health of this container, as Docker and Kubernetes ask for it.

Imports little, and only from the standard library: the check must cost less than a callback does.
"""

import http.client
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

#: Time that a server has to answer; Docker itself gives up a little later.
TIMEOUT_SECONDS: Final = 3.0

#: Where ``/readyz`` and the page are, unless the environment says otherwise.
ADMIN: Final = "127.0.0.1:8081"
WEB: Final = "127.0.0.1:9181"

_UNAUTHORIZED: Final = 401
_OK: Final = 200


def find_trouble(proc: Path, environ: Mapping[str, str]) -> str | None:
    """Return in one sentence what is wrong with the role of process 1; None if it is healthy.

    ``proc`` is the ``/proc`` of the container. A role that serves nothing is healthy for as long as it runs.
    """
    argv = arguments(proc / "1")
    match role(argv):
        case "ingest":
            return _ingest(environ.get("ACKFIRST_ADMIN_LISTEN") or ADMIN)
        case "web":
            return _web(environ.get("ACKFIRST_WEB_LISTEN") or WEB)
        case "worker" if "--burst" not in argv:  # which is an engine itself
            return _worker(proc)
        case _:
            return None


def role(argv: Sequence[str]) -> str | None:
    """Return the subcommand of ``ackfirst`` in a command line, whatever stands before it: an interpreter, an init."""
    for place, argument in enumerate(argv[:-1]):
        if argument.rpartition("/")[2] == "ackfirst":
            return argv[place + 1]
    return None


def arguments(process: Path) -> list[str]:
    """Return the command line of a process by its folder in ``/proc``; empty if it has just ended."""
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def _ingest(listen: str) -> str | None:
    """Check ``/readyz``, which is also 200 without Redis while the spool can be written."""
    status = _get(listen, "/readyz")
    return None if status == _OK else f"ingest's /readyz on {listen} says {status or 'nothing'}"


def _web(listen: str) -> str | None:
    """Check that the page asks for a password. Whether Redis answers is not its health."""
    status = _get(listen, "/")
    return None if status == _UNAUTHORIZED else f"the page on {listen} says {status or 'nothing'}"


def _worker(proc: Path) -> str | None:
    """Check that an engine runs. Redis may be away: engines wait for it, and a restart would not help."""
    if any(("--role", "engine") in pairwise(argv) for argv in _command_lines(proc)):
        return None
    return "no engine runs: the log says why the last one ended"


def _command_lines(proc: Path) -> Iterator[list[str]]:
    return (arguments(process) for process in proc.iterdir() if process.name.isdigit())


def _get(listen: str, path: str) -> int | None:
    """Return the status that a server on this machine answers; None if it does not."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


if __name__ == "__main__":
    if trouble := find_trouble(Path("/proc"), os.environ):
        sys.exit(trouble)
