"""``ackfirst webhooks show|set|restore``: the command line."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ackfirst.ops.nexmo_api import NexmoApi, NexmoApiError, SmsSettings, api_of
from ackfirst.ops.record.acts import note_act_if_recorded
from ackfirst.ops.terminal import CommandGroup, printable
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.ops.webhooks import backup
from ackfirst.ops.webhooks.change import Changer, Result, WebhookError
from ackfirst.ops.webhooks.show import Row, application_rows, number_rows, sms_rows
from ackfirst.ops.webhooks.urls import (
    Change,
    check_public_url,
    has_messages,
    wanted_messages_urls,
    wanted_sms_settings,
    with_messages_urls,
    with_messages_webhooks_of,
)
from ackfirst.shared.accounts import Account
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.settings.accounts_file import load_accounts

T = TypeVar("T")

#: Columns at the least: URLs are there to be compared.
_WIDTH: Final = 140

_account = click.option("--account", "only", metavar="API_KEY", help="Only this account. [default: every account]")


@dataclass(frozen=True, slots=True)
class _Managed:
    """An account with the secret that the management APIs ask for."""

    account: Account
    api: NexmoApi


@click.group(cls=CommandGroup)
def command() -> None:
    """Show and set the URLs to which Nexmo sends callbacks.

    Needs the account secret (ACKFIRST_API_SECRET, or api_secret in ackfirst.toml) and, to compare and to set,
    ACKFIRST_PUBLIC_URL. A change keeps every other field of an application, and saves a backup first.
    """


@command.command()
@_account
@json_option
def show(*, only: str | None, as_json: bool) -> None:
    """Show what is set, and what differs.

    Every messages and SMS URL at Nexmo, compared with ACKFIRST_PUBLIC_URL. Exit code 1 when a URL differs. A number's
    own URL takes the place of the account's for inbound SMS.
    """
    settings = load_settings(os.environ)
    rows = _run(_rows(settings, only))
    if as_json:
        for row in rows:
            click.echo(json.dumps(row.as_dict()))
    else:
        _show_table(rows, compared=settings.public_url is not None)
    if any(row.differs for row in rows):
        raise SystemExit(1)


@command.command("set")
@click.argument("application_ids", metavar="[APP]...", nargs=-1)
@click.option("--sms", is_flag=True, help="The account's URLs for the SMS API.")
@click.option("--all", "everything", is_flag=True, help="Every application with messages, and the SMS API's URLs.")
@click.option("--dry-run", is_flag=True, help="Print what would change and write nothing.")
@_account
def set_(*, application_ids: tuple[str, ...], sms: bool, everything: bool, dry_run: bool, only: str | None) -> None:
    """Set URLs to ACKFIRST_PUBLIC_URL.

    Of applications, or the account's for the SMS API.

    Nexmo calls an SMS URL while it saves it: ingest must be reachable. Nothing is written where nothing differs.
    """
    if not (application_ids or sms or everything):
        raise click.UsageError("name applications, or say --sms or --all")
    settings = load_settings(os.environ)
    public_url = check_public_url(settings.public_url)
    _run(_set(settings, public_url, set(application_ids), sms or everything, everything, dry_run=dry_run, only=only))


@command.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--dry-run", is_flag=True, help="Print what would change and write nothing.")
def restore(*, file: Path | None, dry_run: bool) -> None:
    """Put back the URLs of a backup.

    Without FILE, list the backups.

    Only the webhooks of messages, or the SMS URLs, go back: whatever else changed since stays as it is.
    """
    settings = load_settings(os.environ)
    if file is None:
        for found in backup.backups(settings.data_dir):
            click.echo(found)
        return
    _run(_restore(settings, backup.load(file), dry_run=dry_run))


async def _rows(settings: Settings, only: str | None) -> list[Row]:
    public_url = check_public_url(settings.public_url) if settings.public_url else None
    rows: list[Row] = []
    async for managed in _managed(settings, only):
        account, api = managed.account, managed.api
        async for application in api.applications():
            rows.extend(application_rows(account.api_key, application, public_url))
        wanted = wanted_sms_settings(public_url, account) if public_url else None
        rows.extend(sms_rows(account.api_key, await api.sms_settings(), wanted))
        async for number in api.numbers():
            rows.extend(number_rows(account.api_key, number, wanted))
    return rows


async def _set(
    settings: Settings,
    public_url: str,
    wanted_ids: set[str],
    sms: bool,  # noqa: FBT001 - passed on from the command line
    everything: bool,  # noqa: FBT001 - as above
    *,
    dry_run: bool,
    only: str | None,
) -> None:
    urls, missing = wanted_messages_urls(public_url), set(wanted_ids)
    async for managed in _managed(settings, only):
        account, api = managed.account, managed.api
        changer = _changer(settings, managed, dry_run=dry_run)
        async for application in _applications(api, wanted_ids, everything=everything):
            missing.discard(str(application["id"]))
            subject = f"application {application['id']}"
            _heading(f"{subject} ({application.get('name')})")
            result = await changer.change_application(application, lambda found: with_messages_urls(found, urls))
            _report(result, settings, "webhooks-set", subject, dry_run=dry_run)
        if sms:
            subject = f"SMS settings of account {account.api_key}"
            _heading(subject)
            before = await api.sms_settings()
            result = await changer.change_sms_settings(before, wanted_sms_settings(public_url, account))
            _report(result, settings, "webhooks-set", subject, dry_run=dry_run)
    if missing:
        raise WebhookError(f"no account of ours has application {', '.join(sorted(missing))}: check the id")


async def _applications(api: NexmoApi, ids: Iterable[str], *, everything: bool) -> AsyncIterator[dict[str, Any]]:
    if everything:
        async for application in api.applications():
            if has_messages(application):
                yield application
        return
    for id_ in sorted(ids):
        found = await api.application(id_)
        if found is None:
            continue
        if not has_messages(found):
            raise WebhookError(f"application {id_} cannot do messages: switch the capability on at Nexmo first")
        yield found


async def _restore(settings: Settings, saved: backup.Backup, *, dry_run: bool) -> None:
    async for managed in _managed(settings, saved.account):
        changer = _changer(settings, managed, dry_run=dry_run)
        if saved.kind == "sms":
            subject = f"SMS settings of account {saved.account}"
            _heading(subject)
            before = await managed.api.sms_settings()
            result = await changer.change_sms_settings(before, SmsSettings(**saved.content))
            _report(result, settings, "webhooks-restored", subject, dry_run=dry_run)
            continue
        subject = f"application {saved.id}"
        _heading(subject)
        application = await managed.api.application(saved.id)
        if application is None:
            raise WebhookError(f"application {saved.id} does not exist any more")
        result = await changer.change_application(
            application, lambda found: with_messages_webhooks_of(found, saved.content)
        )
        _report(result, settings, "webhooks-restored", subject, dry_run=dry_run)


async def _managed(settings: Settings, only: str | None) -> AsyncIterator[_Managed]:
    """Yield every account whose account secret is configured, with its API, one after the other."""
    accounts = [account for account in load_accounts(settings) if account.api_secret]
    chosen = [account for account in accounts if only in (None, account.api_key)]
    if not chosen:
        whose = f"account {only}" if only else "any account"
        raise ConfigurationError(
            f"the account secret of {whose} is not known: set ACKFIRST_API_KEY and ACKFIRST_API_SECRET, "
            f"or api_secret in {settings.config}"
        )
    for account in chosen:
        async with api_of(settings, account) as api:
            yield _Managed(account, api)


def _changer(settings: Settings, managed: _Managed, *, dry_run: bool) -> Changer:
    return Changer(
        managed.api,
        managed.account.api_key,
        data_dir=settings.data_dir,
        now=lambda: datetime.now(UTC),
        show=_show_changes,
        dry_run=dry_run,
    )


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except (NexmoApiError, WebhookError) as error:
        raise click.ClickException(str(error)) from error


def _heading(text: str) -> None:
    click.secho(printable(text), bold=True)


def _show_changes(changes: tuple[Change, ...]) -> None:
    for change in changes:
        click.echo(f"  {printable(str(change))}")


def _report(result: Result, settings: Settings, act: str, subject: str, *, dry_run: bool) -> None:
    if not result.changes:
        click.echo("  as wanted already: nothing to write")
    elif dry_run:
        click.echo("  dry run: nothing was written")
    else:
        click.echo(f"  written, read again and equal; backup: {result.backup}")
        for change in result.added:
            click.echo(f"  Nexmo filled in {printable(str(change))}")
        note_act_if_recorded(settings, act, subject, f"backup {result.backup}")


def _show_table(rows: list[Row], *, compared: bool) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("account", "where", "webhook", "set at Nexmo", ""):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in row.cells()))
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    console.print(table)
    if not compared:
        console.print("Set ACKFIRST_PUBLIC_URL to see what differs from this installation.")
