"""Write the embedded server's configuration file, with directives that Redis 7 and every Valkey know."""

import os
from pathlib import Path

_PRINTABLE = range(0x20, 0x7F)


def render(*, folder: Path, socket: Path, max_memory: int) -> bytes:
    """Build the file for a server that keeps its data in ``folder`` and listens on ``socket``.

    An acknowledged callback must be on the disk (``appendfsync always``) and stay there (``noeviction``). The two sizes
    at the end halve the memory of a waiting job and take nine tenths off a finished one.
    """
    directives = {
        "port": b"0",
        "unixsocket": quoted(socket),
        "unixsocketperm": b"700",
        "dir": quoted(folder),
        "daemonize": b"no",
        "appendonly": b"yes",
        "appendfsync": b"always",
        "save": b'""',
        "maxmemory": b"%d" % max_memory,
        "maxmemory-policy": b"noeviction",
        "hash-max-listpack-value": b"2048",
        "stream-node-max-bytes": b"256",
    }
    return b"".join(b"%s %s\n" % (name.encode(), value) for name, value in directives.items())


def quoted(path: Path) -> bytes:
    """Quote a path for the configuration syntax, whatever bytes it holds (``sds.c:sdssplitargs``)."""
    return b'"%s"' % b"".join(map(_escaped, os.fsencode(path)))


def _escaped(byte: int) -> bytes:
    if byte in b'"\\':
        return b"\\%c" % byte
    return b"%c" % byte if byte in _PRINTABLE else b"\\x%02x" % byte


def half_of_the_memory() -> int:
    """Return the most bytes that the server may use: above them it refuses writes, and the machine stays usable."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
