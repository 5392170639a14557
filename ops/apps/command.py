"""``ackfirst apps list|quiet|delete``: the command line."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click
from redis.asyncio import Redis

from ackfirst.ops.apps.evidence import Found, find, gather
from ackfirst.ops.apps.known import Application, Listing, list_applications
from ackfirst.ops.apps.quiet import Condition, State, conditions, is_quiet, moment, span
from ackfirst.ops.apps.remove import RemovalError, remove
from ackfirst.ops.nexmo_api import NexmoApiError, api_of
from ackfirst.ops.record.acts import note_act_if_recorded
from ackfirst.ops.record.render import Column, console, show_table
from ackfirst.ops.terminal import CommandGroup, operator_settings, printable
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import ConfigurationError, QueueUnavailableError
from ackfirst.shared.plural import plural
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.shared.settings.types import seconds

T = TypeVar("T")

#: How long an application must have been silent: Nexmo retries a callback for 24 hours.
QUIET_PERIOD: Final = "24h"
#: Seconds to wait for one answer of Redis.
REDIS_SECONDS: Final = 5.0
#: Exit code of ``quiet`` while the application is not quiet, and of ``delete`` when it was not deleted.
NOT_SAFE: Final = 1
_COLUMNS: Final = (
    Column("account", rank=4),
    Column("application"),
    Column("name", rank=1, folds=True, least=8),
    Column("lane", rank=6),
    Column("last callback"),
    Column("last unconfirmed", rank=3),
    Column("waiting", is_number=True, rank=2),
    Column("retrying", is_number=True, rank=5),
    Column("dead", is_number=True),
    Column("Nexmo", rank=2),
)
_COLORS: Final = {State.MET: "green", State.NOT_MET: "red", State.UNKNOWN: "yellow"}


def _period(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    try:
        return float(seconds(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


_for = click.option(
    "--for",
    "period",
    default=QUIET_PERIOD,
    show_default=True,
    callback=_period,
    help="How long nothing may have come. Some products are retried for 72h.",
)


@dataclass(frozen=True, slots=True)
class _Installation:
    """All that the commands need."""

    settings: Settings
    accounts: Accounts
    redis: Redis


@click.group(cls=CommandGroup, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List applications; delete one only when it is quiet.

    An application that is deleted while its callbacks wait at Nexmo can stall the whole account. With the account
    secret (ACKFIRST_API_SECRET, or api_secret in ackfirst.toml), Nexmo is asked, too. Without a command: list.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_, as_json=False)


@command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List every application known from traffic, configuration or Nexmo.

    With its lane, its last callback, its last one that was refused or quarantined, and what is not done. Exit code 1
    when an account could not be asked.
    """
    listing = _run(_with_redis(_list))
    for one in listing.applications if as_json else ():
        click.echo(json.dumps(one.as_dict()))
    if not as_json:
        _show(listing, now=time.time())
    for problem in listing.problems:
        click.echo(f"ackfirst: Nexmo could not be asked: {printable(problem)}", err=True)
    raise SystemExit(NOT_SAFE if listing.problems else 0)


@command.command()
@click.argument("application_id", metavar="APP")
@_for
@click.option("--watch", is_flag=True, help="Look again and again, until it is quiet.")
@click.option("--every", default="60s", show_default=True, callback=_period, help="Time between two looks.")
@json_option
def quiet(*, application_id: str, period: float, watch: bool, every: float, as_json: bool) -> None:
    """Tell whether an application can be deleted without a stall.

    Every condition with its time: no callback of any verdict, nothing waiting, retrying, spooled, quarantined or dead,
    no number linked, webhooks that are not ours or got nothing. Exit code 0 only when it is safe, 1 when it is not
    or when something could not be looked at.
    """
    shown: list[Condition] = []
    while True:
        try:
            found = _run(_with_redis(lambda running: _conditions(running, application_id, period)))
        except ConfigurationError as error:
            if not (watch and shown):
                raise
            click.echo(f"ackfirst: {error}", err=True)  # an outage of Redis ends; the watch goes on
            time.sleep(max(1.0, every))
            continue
        if [(one.name, one.state) for one in found] != [(one.name, one.state) for one in shown]:
            _show_conditions(found, as_json=as_json)
        shown = found
        if is_quiet(found) or not watch:
            break
        time.sleep(max(1.0, every))
    raise SystemExit(0 if is_quiet(found) else NOT_SAFE)


@command.command()
@click.argument("application_id", metavar="APP")
@_for
@click.option("--force", is_flag=True, help="Delete it although it is not quiet.")
@click.option("--yes", is_flag=True, help="Do not ask. Needed where there is no terminal.")
def delete(*, application_id: str, period: float, force: bool, yes: bool) -> None:
    """Delete an application at Nexmo, for good, if it is quiet.

    Looks as `quiet` does, and refuses when a condition is not met, unless --force is given. The application's last
    state is saved first; Nexmo cannot bring it back.
    """
    _run(_with_redis(lambda running: _delete(running, application_id, period, force=force, yes=yes)))


async def _list(running: _Installation) -> Listing:
    return await list_applications(running.redis, running.settings, running.accounts)


async def _conditions(running: _Installation, application_id: str, period: float) -> list[Condition]:
    evidence = await gather(running.redis, running.settings, running.accounts, application_id)
    return conditions(evidence, period=period, now=time.time())


async def _delete(running: _Installation, application_id: str, period: float, *, force: bool, yes: bool) -> None:
    settings, accounts = running.settings, running.accounts
    if not any(account.api_secret for account in accounts):
        raise ConfigurationError("deleting needs the account secret: set ACKFIRST_API_SECRET, or api_secret")
    found = await find(settings, accounts, application_id)
    if found is None:
        raise RemovalError(f"no account of ours has application {application_id}: check the id")
    shown = await _conditions(running, application_id, period)
    _show_conditions(shown, as_json=False)
    if not is_quiet(shown) and not force:
        open_ = ", ".join(one.name for one in shown if one.state is not State.MET)
        raise RemovalError(
            f"not deleted: {application_id} is not quiet ({open_}). Wait with: ackfirst apps quiet {application_id} "
            "--watch. To delete it all the same, and risk a stall: --force"
        )
    if not yes:
        _confirm(found)
    async with api_of(settings, found.account) as api:
        saved = await remove(api, found, data_dir=settings.data_dir, now=lambda: datetime.now(UTC))
    note_act_if_recorded(settings, "application-deleted", application_id, "with --force" if force else "")
    click.echo(f"application {application_id} is deleted; its last state: {saved}")


def _confirm(found: Found) -> None:
    """Ask for the application's name: it is not typed by accident."""
    name = printable(str(found.content.get("name") or found.content["id"]))
    if not sys.stdin.isatty():
        raise RemovalError("not deleted: there is no terminal to ask; say --yes")
    if click.prompt(f"Delete {name!r} of account {found.account.api_key} for good? Type its name") != name:
        raise RemovalError("not deleted: that is not its name")


@asynccontextmanager
async def _installation() -> AsyncIterator[_Installation]:
    settings = operator_settings()
    url = settings.redis_url.get_secret_value()
    client = redis_client.async_redis(url, timeout=REDIS_SECONDS)
    try:
        yield _Installation(settings, load_accounts(settings), client)
    finally:
        await client.aclose()


async def _with_redis(work: Any) -> Any:
    async with _installation() as running:
        try:
            return await work(running)
        except (*redis_client.FAILURES, QueueUnavailableError) as error:
            raise ConfigurationError(f"Redis does not answer ({error}): check ACKFIRST_REDIS_URL") from error


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except (NexmoApiError, RemovalError) as error:
        raise click.ClickException(printable(str(error))) from error


def _show_conditions(found: list[Condition], *, as_json: bool) -> None:
    for condition in found:
        if as_json:
            click.echo(json.dumps(condition.as_dict()))
        else:
            state = click.style(f"{condition.state.value:<8}", fg=_COLORS[condition.state])
            click.echo(f"{state} {condition.name:<12} {printable(condition.text)}")
    if not as_json:
        verdict = "quiet: it can be deleted" if is_quiet(found) else "not quiet: do not delete it yet"
        click.secho(f"{moment(time.time())} {verdict}", bold=True)


def _show(listing: Listing, *, now: float) -> None:
    if listing.applications:
        rows = ([printable(cell) for cell in _cells(one, now)] for one in listing.applications)
        show_table(console(), _COLUMNS, rows)
    else:
        click.echo("No application is known.")
    if any(one.is_lane_shared for one in listing.applications):
        click.echo("* a lane that the configuration names: its numbers may be of several applications")
    if listing.left_out:
        click.echo(f"{plural(listing.left_out, 'more name')} only in callbacks that could not be verified")
    if listing.applications and not listing.was_nexmo_asked:
        click.echo("Nexmo was not asked: with ACKFIRST_API_SECRET it says which of them it has")


def _cells(one: Application, now: float) -> tuple[str, ...]:
    held = one.held
    return (
        one.account or "(none)",
        one.id or "(SMS API)",
        one.name,
        f"{one.lane}*" if one.is_lane_shared else "its own",
        _ago(one.last_callback, now),
        _ago(one.last_unconfirmed, now),
        *(str(count) for count in (held.waiting, held.retrying, held.dead)),
        {None: "", True: "yes", False: "no"}[one.is_at_nexmo],
    )


def _ago(at: float | None, now: float) -> str:
    return "" if at is None else f"{span(max(0.0, now - at))} ago"
