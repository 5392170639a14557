"""Remember unsigned callbacks: the first delivery is answered 503, which asks for a signed retry; a repeat is kept."""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from ackfirst.shared.nexmo.callback import Callback

#: Callbacks; about 1 MiB of memory. Filling it from outside only makes the provider retry once more.
REMEMBERED_CALLBACKS: Final = 8192


class UnsignedMemory:
    """Remembers the last ``limit`` distinct unsigned callbacks of this process, by body and query."""

    def __init__(self, limit: int = REMEMBERED_CALLBACKS) -> None:
        self._limit = limit
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def seen_before(self, callback: Callback) -> bool:
        """Check whether the same content came before, and remember it."""
        digest = _digest(callback)
        known = digest in self._seen
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)
        return known


def _digest(callback: Callback) -> bytes:
    query = callback.query.encode("utf-8", "surrogatepass")
    return blake2b(callback.body, digest_size=16, key=blake2b(query, digest_size=16).digest()).digest()
