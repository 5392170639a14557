"""Point applications at a tunnel while ``ackfirst dev`` runs, and put their URLs back at any end.

A dead tunnel's URL left at Nexmo is what stalls an account's queue. So each borrowed application is noted on disk
before it is changed, and whatever a crash left is put back at the next start.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ackfirst.ops.nexmo_api import NexmoApi, NexmoApiError, api_of
from ackfirst.ops.record.acts import note_act_if_recorded
from ackfirst.ops.webhooks import backup
from ackfirst.ops.webhooks.change import Changer, Result, WebhookError
from ackfirst.ops.webhooks.urls import (
    Change,
    messages_url,
    wanted_messages_urls,
    with_messages_urls,
    with_messages_webhooks_of,
)
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.settings import Settings

NOTE: Final = "borrowed-webhooks.json"
"""Name of the file, in the data folder, of what is to be put back."""


@dataclass(frozen=True, slots=True)
class Borrowed:
    """One application whose webhooks point at a tunnel."""

    backup: str
    """File with its state before."""
    url: str
    """The tunnel's base URL."""


class BorrowedWebhooks:
    """Borrows applications, and gives them back.

    Args:
        settings: Where Nexmo's APIs and the data folder are.
        accounts: Their account secrets are used.
        say: Is given each line for the developer.
    """

    def __init__(self, settings: Settings, accounts: Accounts, *, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._accounts = [account for account in accounts if account.api_secret]
        self._say = say
        self._note = settings.data_dir / NOTE

    @property
    def is_anything_left(self) -> bool:
        """True if URLs of an earlier or this run are still to be put back."""
        return bool(self._borrowed())

    async def borrow(self, application_ids: Iterable[str], public_url: str) -> None:
        """Point applications at a tunnel.

        Raises:
            ConfigurationError: No account secret is configured, or no account has such an application.
            NexmoApiError: Nexmo could not be asked, or refused.
            WebhookError: An application changed meanwhile, or is not as wanted.
        """
        urls, missing = wanted_messages_urls(public_url), set(application_ids)
        if not self._accounts:
            raise ConfigurationError("--set-webhooks needs the account secret: set ACKFIRST_API_SECRET")
        for account in self._accounts:
            async with api_of(self._settings, account) as api:
                changer = self._changer(api, account, lambda saved: self._remember(Borrowed(str(saved), public_url)))
                for id_ in sorted(missing):
                    application = await api.application(id_)
                    if application is None:
                        continue
                    missing.discard(id_)
                    result = await changer.change_application(
                        application, lambda found: with_messages_urls(found, urls)
                    )
                    self._audit("webhooks-borrowed", id_, result)
                    self._say(f"application {id_} now sends its callbacks to {public_url}")
        if missing:
            raise ConfigurationError(f"no account of ours has application {', '.join(sorted(missing))}: check the id")

    async def put_back(self) -> bool:
        """Put back every borrowed URL. Returns False if some could not be; they stay noted for the next start."""
        for borrowed in self._borrowed():
            try:
                await self._put_back(borrowed)
            except (NexmoApiError, WebhookError, ConfigurationError) as error:
                self._say(f"webhook URLs were not put back: {error}. Try: ackfirst webhooks restore {borrowed.backup}")
            else:
                self._forget(borrowed)
        return not self.is_anything_left

    async def _put_back(self, borrowed: Borrowed) -> None:
        saved = backup.load(Path(borrowed.backup))
        account = next((account for account in self._accounts if account.api_key == saved.account), None)
        if account is None:
            raise ConfigurationError(f"the account secret of {saved.account} is not configured any more")
        async with api_of(self._settings, account) as api:
            application = await api.application(saved.id)
            if application is None:
                self._say(f"application {saved.id} does not exist any more: nothing to put back")
                return
            ours = wanted_messages_urls(borrowed.url)
            if all(messages_url(application, name) != url for name, url in ours.items()):
                self._say(f"application {saved.id} points elsewhere by now: left as it is")
                return
            result = await self._changer(api, account, lambda _: None).change_application(
                application, lambda found: with_messages_webhooks_of(found, saved.content)
            )
            self._audit("webhooks-put-back", saved.id, result)
            self._say(f"application {saved.id} has its own webhook URLs again")

    def _changer(self, api: NexmoApi, account: Account, on_saved: Callable[[Path], None]) -> Changer:
        return Changer(
            api,
            account.api_key,
            data_dir=self._settings.data_dir,
            now=lambda: datetime.now(UTC),
            show=self._show,
            on_saved=on_saved,
        )

    def _audit(self, act: str, application_id: str, result: Result) -> None:
        if result.backup is not None:
            note_act_if_recorded(self._settings, act, f"application {application_id}", f"backup {result.backup}")

    def _show(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            self._say(f"  {change}")

    def _borrowed(self) -> list[Borrowed]:
        try:
            return [Borrowed(**entry) for entry in json.loads(self._note.read_bytes())]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"{self._note} cannot be read ({error}): see ackfirst webhooks restore, then remove the file"
            ) from error

    def _remember(self, borrowed: Borrowed) -> None:
        self._write([*self._borrowed(), borrowed])

    def _forget(self, borrowed: Borrowed) -> None:
        self._write([other for other in self._borrowed() if other != borrowed])

    def _write(self, entries: list[Borrowed]) -> None:
        if not entries:
            self._note.unlink(missing_ok=True)
            return
        new = self._note.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
            json.dump([asdict(entry) for entry in entries], opened)
            opened.flush()
            os.fsync(opened.fileno())
        new.replace(self._note)
