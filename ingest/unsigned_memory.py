"""Remember unsigned callbacks: the first time asks for a signed retry, the second time goes to quarantine."""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from ackfirst.shared.nexmo.callback import Callback

#: About 1 MiB of memory. A stranger who fills it only makes the provider retry once more.
LIMIT: Final = 8192


class UnsignedMemory:
    """Remembers the last ``limit`` distinct unsigned callbacks of this process, by body and query."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def seen_before(self, callback: Callback) -> bool:
        """Remember a callback; return whether the same content came before."""
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
