"""Find the key of the hashes that stand in place of redacted numbers."""

import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.private_folder import make_private_folder
from ackfirst.shared.settings import Settings
from ackfirst.shared.store import Store

KEY_FILE: Final = "redaction-key"
_KEY_BYTES: Final = 32
_KEY_MODE: Final = 0o600
#: Newest redactions among which one that names its key is looked for.
_ACTS: Final = 1_000
#: What the audit calls a redaction.
REDACTION_ACT: Final = "person-redacted"
_NAMED: Final = "key "


def redaction_key(settings: Settings) -> bytes:
    """Read the key: the operator's own (``ACKFIRST_REDACTION_KEY``), or one made once and kept in the data folder.

    Raises:
        ConfigurationError: The file cannot be written or read, or is empty.
    """
    if settings.redaction_key is not None:
        return settings.redaction_key.get_secret_value().encode()
    file = settings.data_dir / KEY_FILE
    try:
        if not file.exists():
            _create(file)
        key = file.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(
            f"cannot keep the key of redacted numbers in {file}: {error.strerror}, "
            "check ACKFIRST_DATA_DIR or set ACKFIRST_REDACTION_KEY_FILE"
        ) from error
    if not key:
        raise ConfigurationError(f"{file} is empty: restore it from a backup, or delete it to begin with a new key")
    return key


def fingerprint(key: bytes) -> str:
    """Name a key without telling it."""
    return hmac.new(key, b"ackfirst redaction key", hashlib.sha256).hexdigest()[:12]


def named(key: bytes) -> str:
    """Write the part of an audit row's detail that names the key."""
    return _NAMED + fingerprint(key)


def check_same_key(store: Store, key: bytes) -> None:
    """Refuse a key that is not the one of the last redaction: equal numbers would get different hashes.

    Every machine has its own data folder, and so its own key unless the setting names a common one.

    Raises:
        ConfigurationError: It is another one.
    """
    for row in store.audit_rows(limit=_ACTS, act=REDACTION_ACT):
        if _NAMED not in row.detail:
            continue
        last = row.detail.rpartition(_NAMED)[2].split()[0]
        if last != fingerprint(key):
            raise ConfigurationError(
                f"earlier redactions of this record were made by {row.who} with another key ({last}, here "
                f"{fingerprint(key)}), and equal numbers would no longer be equal: copy {KEY_FILE} from that machine's "
                "data folder, name it by ACKFIRST_REDACTION_KEY_FILE, or use --new-key"
            )
        return


def _create(file: Path) -> None:
    make_private_folder(file.parent)
    # mkstemp's mode is 0600; a link appears whole or not at all, and never replaces another process's key.
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{KEY_FILE}-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(_KEY_BYTES) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(_KEY_MODE)
        with suppress(FileExistsError):
            file.hardlink_to(temporary)
    finally:
        Path(temporary).unlink()
