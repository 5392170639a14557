"""Create what the operator did not give: passwords and a demo account, kept from the first start on."""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from ackfirst.shared.settings.types import OFF

#: Name of the Redis service in ``docker-compose.yml``.
_REDIS: Final = "redis:6379/0"

#: Name of the PostgreSQL service there, and its database.
_POSTGRES: Final = "postgres:5432/ackfirst"

#: What the Sentinels of ``deploy/compose.sentinel.yml`` call it.
_SERVICE: Final = "events"

#: Bytes of randomness in a password.
_BYTES: Final = 24

Random = Callable[[int], str]
"""Returns a text without special characters, made of so many random bytes."""

DEMO_NOTE: Final = "# Made for the profile demo: an account that Nexmo does not know. The simulator signs with it."


def load_or_create(
    former: Mapping[str, bytes], *, demo: bool, random: Random = secrets.token_urlsafe
) -> dict[str, bytes]:
    """Return passwords, and with ``demo`` an account: those of ``former`` unchanged, the missing ones new."""
    wanted: dict[str, Callable[[], str]] = {
        "redis-password": lambda: random(_BYTES),
        "postgres-password": lambda: random(_BYTES),
        "web-password": lambda: random(_BYTES),
        "grafana-password": lambda: random(_BYTES),
    }
    if demo:
        wanted["ackfirst.toml"] = lambda: _demo_account(random)
    return {name: former.get(name) or f"{text()}\n".encode() for name, text in wanted.items()}


def _demo_account(random: Random) -> str:
    return f'{DEMO_NOTE}\n[accounts.demo]\nname = "Demo"\nsecrets = ["{random(_BYTES)}"]'


def redis_url(password: bytes, sentinels: str = "") -> bytes:
    """Build the URL of the stack's own Redis, or of the Sentinels that know it (``host:port``, comma separated)."""
    secret = quote(_line(password), safe="")
    if sentinels:
        return f"redis+sentinel://:{secret}@{sentinels}/{_SERVICE}/0?sentinel_password={secret}\n".encode()
    return f"redis://:{secret}@{_REDIS}\n".encode()


def store_url(password: bytes) -> bytes:
    """Build the URL of the record in the stack's own PostgreSQL."""
    return f"postgresql://ackfirst:{quote(_line(password), safe='')}@{_POSTGRES}\n".encode()


def store_switch(url: bytes) -> bytes:
    """Build what ingest gets instead: it only asks whether the record is on, and must not know a password."""
    return url if _line(url) == OFF else f"postgresql://{_POSTGRES}\n".encode()


def redis_users(password: bytes) -> bytes:
    """Build Redis's file of users (``aclfile``): one user, with the hash of the password."""
    digest = hashlib.sha256(_line(password).encode()).hexdigest()
    return f"user default on sanitize-payload #{digest} ~* &* +@all\n".encode()


def _line(password: bytes) -> str:
    """Return the password without the newline at the end of its file."""
    return password.decode().rstrip("\r\n")
