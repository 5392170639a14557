"""Save what an act is about to change at Nexmo, in a file that only its owner can read."""

import json
import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from ackfirst.shared.errors import ConfigurationError

FOLDER: Final = "webhook-backups"
"""Name of the folder of backups, in the data folder."""

_SAFE: Final = re.compile(r"[^A-Za-z0-9-]")

Kind = Literal["application", "sms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """The state of one object at Nexmo, before it was changed."""

    kind: Kind
    account: str
    """API key."""
    id: str
    """Application id; empty for the account's SMS settings."""
    saved_at: str
    """UTC, ISO 8601."""
    content: dict[str, Any]
    """The object as the API returned it."""


def save(data_dir: Path, *, kind: Kind, account: str, id_: str, content: dict[str, Any], now: datetime) -> Path:
    """Write a backup durably and return its file.

    Raises:
        ConfigurationError: The file cannot be written; then nothing must be changed.
    """
    folder = data_dir / FOLDER
    name = _SAFE.sub("_", f"{now.astimezone(UTC):%Y%m%dT%H%M%S%fZ}-{kind}-{id_ or account}")
    file = folder / f"{name}.json"
    backup = Backup(kind=kind, account=account, id=id_, saved_at=now.astimezone(UTC).isoformat(), content=content)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump(asdict(backup), opened, ensure_ascii=False, indent=2)
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        raise ConfigurationError(
            f"no backup can be written to {folder} ({error.strerror}), so nothing was changed: check ACKFIRST_DATA_DIR"
        ) from error
    return file


def load(file: Path) -> Backup:
    """Read a backup.

    Raises:
        ConfigurationError: The file cannot be read, or is no backup of ours.
    """
    try:
        found = json.loads(file.read_bytes())
        return Backup(**found)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{file} is not a backup that ackfirst webhooks has written") from error


def backups(data_dir: Path) -> list[Path]:
    """Return the files of all backups, oldest first."""
    return sorted((data_dir / FOLDER).glob("*.json"))
