"""Change one object at Nexmo without losing a field: read, back up, read again, write, read and compare."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ackfirst.ops.nexmo_api import NexmoApi, NexmoApiError, SmsSettings
from ackfirst.ops.webhooks import backup
from ackfirst.ops.webhooks.urls import Change, changes, content_of


class WebhookError(Exception):
    """A change was not made, or not as intended. The message says which, and names the backup where there is one."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a change."""

    changes: tuple[Change, ...]
    """What differs between before and after; empty when everything was as wanted already."""
    backup: Path | None
    """File with the state before; None when nothing was written."""
    added: tuple[Change, ...] = ()
    """Fields that Nexmo filled in by itself: defaults of what the object did not have."""


class Changer:
    """Changes objects of one account.

    Args:
        api: The account's management APIs.
        account: Its API key.
        data_dir: Where backups go.
        now: Returns the time, for the names of backups.
        show: Is given the changes before anything is written.
        on_saved: Is given each backup after it was saved and before anything is written.
        dry_run: Show the changes and write nothing.
    """

    def __init__(
        self,
        api: NexmoApi,
        account: str,
        *,
        data_dir: Path,
        now: Callable[[], datetime],
        show: Callable[[tuple[Change, ...]], None],
        on_saved: Callable[[Path], None] = lambda _: None,
        dry_run: bool = False,
    ) -> None:
        self._api = api
        self._account = account
        self._data_dir = data_dir
        self._now = now
        self._show = show
        self._on_saved = on_saved
        self._dry_run = dry_run

    async def change_application(
        self, application: Mapping[str, Any], edit: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> Result:
        """Write what ``edit`` makes of an application, if it makes a difference.

        Args:
            application: The application as it was read a moment ago.
            edit: Returns the content that is wanted.

        Raises:
            NexmoApiError: Nexmo could not be asked, or refused; nothing was changed.
            WebhookError: It changed meanwhile and was left alone, or it is not as wanted after the write.
        """
        id_, wanted = str(application["id"]), edit(application)

        async def read() -> dict[str, Any]:
            return content_of(await self._api.application(id_) or {})

        return await self._change(
            _Subject(f"application {id_}", "application", id_, dict(application)),
            content_of(application),
            wanted,
            read=read,
            write=lambda: self._api.replace_application(id_, wanted),
        )

    async def change_sms_settings(self, before: SmsSettings, wanted: SmsSettings) -> Result:
        """Set the account's URLs for the SMS API, if they differ.

        Raises:
            NexmoApiError: Nexmo could not be asked, or refused; nothing was changed.
            WebhookError: They changed meanwhile and were left alone, or they are not as wanted after the write.
        """

        async def read() -> dict[str, Any]:
            return asdict(await self._api.sms_settings())

        return await self._change(
            _Subject(f"SMS settings of account {self._account}", "sms", "", asdict(before)),
            asdict(before),
            asdict(wanted),
            read=read,
            write=lambda: self._api.set_sms_settings(wanted),
        )

    async def _change(
        self,
        subject: "_Subject",
        before: dict[str, Any],
        wanted: dict[str, Any],
        *,
        read: Callable[[], Awaitable[dict[str, Any]]],
        write: Callable[[], Awaitable[object]],
    ) -> Result:
        planned = tuple(changes(before, wanted))
        self._show(planned)
        if not planned or self._dry_run:
            return Result(planned, None)
        saved = backup.save(
            self._data_dir,
            kind=subject.kind,
            account=self._account,
            id_=subject.id,
            content=subject.saved,
            now=self._now(),
        )
        back = f"To go back: ackfirst webhooks restore {saved}"
        if await read() != before:
            raise WebhookError(
                f"{subject.name}: changed by someone else just now, nothing was written: try again. "
                f"What it was before: {saved}"
            )
        self._on_saved(saved)
        lost = await _write_once(write, subject.name, saved)
        try:
            found = tuple(changes(wanted, await read()))
        except NexmoApiError as error:
            raise WebhookError(
                f"{subject.name}: sent, but could not be read again ({error}). "
                f"Check with: ackfirst webhooks show. {back}"
            ) from error
        left = tuple(change for change in found if change.before is not None)
        if left:
            why = f" ({lost})" if lost else ""
            raise WebhookError(
                f"{subject.name}: not as it was sent{why}: {'; '.join(map(str, left))}. "
                f"Check with: ackfirst webhooks show. {back}"
            )
        return Result(planned, saved, added=found)


@dataclass(frozen=True, slots=True)
class _Subject:
    """The object that is changed: its name for messages, and what its backup holds."""

    name: str
    kind: backup.Kind
    id: str
    saved: dict[str, Any]


async def _write_once(write: Callable[[], Awaitable[object]], name: str, saved: Path) -> NexmoApiError | None:
    """Send a write once. Returns the error when the answer was lost: only reading tells what happened then.

    Raises:
        NexmoApiError: Nexmo refused it, so nothing has changed.
    """
    try:
        await write()
    except NexmoApiError as error:
        if error.is_refusal:
            raise NexmoApiError(
                f"{error}. Nothing was changed: {name}; its copy: {saved}", status=error.status
            ) from error
        return error
    return None
