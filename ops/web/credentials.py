"""Say who a password belongs to, and how often one may be tried from an address."""

import hashlib
import hmac
import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

#: Wrong passwords that one address may send at once, and the seconds after which it may send one more.
ATTEMPTS: Final = 10
SECONDS_PER_ATTEMPT: Final = 6.0

#: Addresses whose attempts are remembered. The longest quiet one is forgotten first.
REMEMBERED_ADDRESSES: Final = 4096

#: An IPv6 client owns a whole network of this prefix length: single addresses would give it endless attempts.
_IPV6_PREFIX: Final = 64


class Role(StrEnum):
    """The rights of a user."""

    OPERATOR = "operator"
    """Everything."""
    VIEWER = "viewer"
    """Look at what is masked. Changes and personal data are refused."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name, its password and its role."""

    username: str
    password: str = field(repr=False)
    role: Role = Role.OPERATOR

    def match(self, username: str, password: str) -> bool:
        """Compare, in the same time for a near miss as for a far one."""
        name = _equal(username, self.username)
        return _equal(password, self.password) and name


def _equal(left: str, right: str) -> bool:
    # Hashed first: compare_digest reveals the length of texts that differ in it.
    return hmac.compare_digest(_hash(left), _hash(right))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class AttemptLimiter:
    """Limit password attempts per client address: a burst, then one every few seconds.

    Memory is bounded, each call takes constant time, and an address never uses up the attempts of another one.
    """

    def __init__(self, *, size: int = REMEMBERED_ADDRESSES, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._all_free_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, address: str) -> bool:
        """Use one attempt of the address; False when it has none left."""
        client = _network(address)
        now = self._clock()
        with self._lock:
            all_free_at = max(self._all_free_at.get(client, now), now) + SECONDS_PER_ATTEMPT
            if all_free_at - now > ATTEMPTS * SECONDS_PER_ATTEMPT:
                return False
            self._all_free_at[client] = all_free_at
            self._all_free_at.move_to_end(client)
            if len(self._all_free_at) > self._size:
                self._all_free_at.popitem(last=False)
        return True

    def give_back(self, address: str) -> None:
        """Return the attempt that turned out to be the right password."""
        client = _network(address)
        with self._lock:
            if client in self._all_free_at:
                self._all_free_at[client] -= SECONDS_PER_ATTEMPT

    def __len__(self) -> int:
        """Count the remembered addresses."""
        return len(self._all_free_at)


def _network(address: str) -> str:
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(client), _IPV6_PREFIX), strict=False))
    return str(client)
