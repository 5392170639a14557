"""Commands packed by hiredis on asyncio connections too: redis-py 8.1 does so on blocking ones only.

A write of ours has 35 arguments; packed in Python they are a quarter of its cost.
"""

from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import DataError


class _PackedByHiredis:
    """Goes before a connection class. Arguments are bytes, text or numbers."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """One command in the Redis protocol; a name of two words becomes two arguments, as Redis wants it."""
        name, *rest = args
        words = name.encode().split() if isinstance(name, str) else name.split()
        try:
            return [hiredis.pack_command((*words, *rest))]
        except TypeError as error:
            raise DataError(str(error)) from error


def packed_by_hiredis(connection_class: type[AbstractConnection]) -> type[AbstractConnection]:
    """The same kind of connection, packing with hiredis."""
    return type(f"Packed{connection_class.__name__}", (_PackedByHiredis, connection_class), {})
