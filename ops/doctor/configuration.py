"""Check the configuration: accounts, their secrets, files, handlers."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ackfirst.ops.webhooks.backup import backups
from ackfirst.ops.webhooks.borrowed import NOTE
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.findings import Findings, error, warning
from ackfirst.shared.settings import SECRETS, Settings
from ackfirst.shared.settings.environment import secret_files

#: Bytes below which a signature secret can be guessed.
SHORTEST_SECRET_BYTES: Final = 8
#: Seconds that a module of handlers may take to be imported.
IMPORT_SECONDS: Final = 30.0

#: In a traceback: the line that imports the module, and those of Python files, not of Python's own machinery.
_IMPORTED: Final = 'File "<string>", line 1, in <module>'
_PLACE: Final = re.compile(r'File "([^"<>]+)", line (\d+)')

_FOR_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def accounts_findings(settings: Settings, accounts: Accounts) -> Findings:
    """Yield what is wrong with the accounts themselves."""
    if not accounts:
        yield error(
            "accounts-none",
            "no account is configured: no callback can be verified, and none reaches a handler",
            "set ACKFIRST_API_KEY and ACKFIRST_SIGNATURE_SECRET, or write ackfirst.toml",
        )
    for account in accounts:
        short = [secret for secret in account.secrets if len(secret) < SHORTEST_SECRET_BYTES]
        if short:
            yield warning(
                "secret-short",
                f"account {account.api_key} has a signature secret of {len(short[0])} characters: it can be guessed",
                "make a longer one in Nexmo's dashboard, list both under secrets in ackfirst.toml, then remove the old",
            )
    if not settings.handlers:
        yield warning(
            "handlers-none",
            "no handlers are configured: a worker started with these settings has nothing to run",
            "set ACKFIRST_HANDLERS to your module, such as myapp.callbacks",
        )


def files_findings(settings: Settings) -> Findings:
    """Yield files with secrets that others on this machine may read or change.

    What this user may not look at is passed over: it belongs to another one, and the check of the disk says so.
    """
    if _mode(settings.config) & _FOR_OTHERS & ~stat.S_IXGRP & ~stat.S_IXOTH:
        yield warning(
            "config-open",
            f"{settings.config} holds secrets, and others on this machine may read or change it",
            f"chmod 600 {settings.config}",
        )
    if opened := [file for file in _backups(settings.data_dir) if _mode(file) & _FOR_OTHERS]:
        yield warning(
            "backup-open",
            f"{opened[0]} and other copies of what was set at Nexmo can be read by others on this machine",
            f"chmod -R go= {opened[0].parent}",
        )
    if _mode(note := settings.data_dir / NOTE):
        yield warning(
            "webhooks-borrowed",
            f"{note} names applications whose webhooks point at a tunnel: when it ends, their callbacks queue at Nexmo",
            "ackfirst dev puts them back when it ends and when it starts; by hand: ackfirst webhooks restore",
        )
    if _mode(settings.data_dir) & _FOR_OTHERS:
        yield warning(
            "data-dir-open",
            f"{settings.data_dir} holds messages of people, and others on this machine may enter it",
            f"chmod 700 {settings.data_dir}",
        )


def secret_files_findings(environ: Mapping[str, str]) -> Findings:
    """Yield files named by ``…_FILE`` variables that everybody on this machine may read or change.

    A group may: Kubernetes and Docker give secrets to the group of a container. A folder that nobody else may enter
    protects what is in it.
    """
    for file in sorted(set(secret_files(environ, SECRETS))):
        if _mode(file) & stat.S_IRWXO and _mode(file.parent) & stat.S_IXOTH:
            yield warning(
                "secret-file-open",
                f"{file} holds a secret, and everybody on this machine may read or change it",
                f"chmod 600 {file}",
            )


def import_error(module: str, *, env: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """Import a module in a process of its own, as a worker does; return why it cannot be, and where, or None.

    Raises:
        TimeoutExpired: It takes longer than ``IMPORT_SECONDS``.
    """
    done = subprocess.run(  # noqa: S603 - the user's own module
        [sys.executable, "-c", f"import os, sys; sys.path.insert(0, os.getcwd()); import {module}"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=IMPORT_SECONDS,
        check=False,
    )
    if done.returncode == 0:
        return None
    why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    places = _PLACE.findall(done.stderr.partition(_IMPORTED)[2])
    return f"{why} ({':'.join(places[-1])})" if places else why


def handlers_findings(settings: Settings) -> Findings:
    """Yield modules of handlers that cannot be imported here. Each is tried in a process of its own."""
    for module in settings.handlers:
        try:
            why = import_error(module)
        except subprocess.TimeoutExpired:
            why = f"its import does not end within {IMPORT_SECONDS:.0f} s"
        if why is None:
            continue
        yield error(
            "handlers-import",
            f"the module of handlers {module} cannot be imported: {why}",
            "check ACKFIRST_HANDLERS and PYTHONPATH; run doctor where the worker runs",
        )


def _backups(data_dir: Path) -> Sequence[Path]:
    try:
        return backups(data_dir)
    except OSError:
        return ()


def _mode(path: Path) -> int:
    """Return the permissions of a file; 0 if there is none, or this user may not know."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
