"""``ackfirst doctor``: the command line."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import click
import redis

from ackfirst.ops.doctor.configuration import (
    accounts_findings,
    files_findings,
    handlers_findings,
    secrets_findings,
)
from ackfirst.ops.doctor.edge import certificate_findings, ingest_findings, public_url_findings, self_test
from ackfirst.ops.doctor.machine import disk_findings
from ackfirst.ops.doctor.nexmo import nexmo_findings
from ackfirst.ops.doctor.queue import queue_findings
from ackfirst.ops.doctor.redis_server import redis_findings
from ackfirst.ops.nexmo_api import api_of
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.ops.terminal import operator_settings
from ackfirst.ops.webhooks.urls import check_public_url
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.findings import Finding, Level, error
from ackfirst.shared.findings.judge import errors_first
from ackfirst.shared.quarantine.review import Entry, QuarantineReview
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.shared.verification import Verifier

#: Newest records of the quarantine that are verified again.
NEWEST_RECORDS: Final = 20
#: Seconds to wait for one answer of Redis.
REDIS_SECONDS: Final = 5.0
#: Exit code for findings.
FOUND: Final = 1

Say = Callable[[str], None]


@click.command()
@click.option("--no-self-test", is_flag=True, help="Send no callback through the public URL.")
@json_option
def command(*, no_self_test: bool, as_json: bool) -> None:
    """Look over the whole installation.

    Configuration, Redis, disk, clocks, ingest, the public URL, workers, lanes, and what is set at Nexmo. Each finding
    says what it means and what helps; docs/operating.md has a section for its id. Exit code 0 when all is well,
    1 when something was found.
    """
    settings = operator_settings()
    accounts = load_accounts(settings)
    say: Say = (lambda _: None) if as_json else click.echo
    findings = asyncio.run(_all(settings, accounts, say, with_self_test=not no_self_test))
    for finding in findings:
        _show(finding, as_json=as_json)
    if not findings:
        say("Nothing was found: all is well.")
    raise SystemExit(FOUND if findings else 0)


async def _all(settings: Settings, accounts: Accounts, say: Say, *, with_self_test: bool) -> list[Finding]:
    findings = [*accounts_findings(settings, accounts), *files_findings(settings), *handlers_findings(settings)]
    findings += disk_findings(settings.data_dir)
    with _redis(settings) as (client, problem):
        if problem is not None:
            findings.append(problem)
        else:
            findings += redis_findings(client)
            findings += await _of_queue(settings, accounts)
        known = {finding.id for finding in findings}
        findings += [reason for reason in await ingest_findings(settings.admin_listen) if reason.id not in known]
        if settings.public_url:
            tester = _tester(accounts) if with_self_test and problem is None else None
            findings += await _of_public_url(check_public_url(settings.public_url), tester, client, say)
    findings += [finding async for finding in _of_nexmo(settings, accounts)]
    return errors_first(findings)


async def _of_queue(settings: Settings, accounts: Accounts) -> list[Finding]:
    client = redis_client.async_redis(settings.redis_url.get_secret_value(), timeout=REDIS_SECONDS)
    try:
        findings = await queue_findings(client, settings, now=time.time())
        newest = [entry.record async for entry in _first(QuarantineReview(client), NEWEST_RECORDS)]
    finally:
        await client.aclose()
    records = [record for record in newest if record is not None]
    return [*findings, *secrets_findings(accounts, records, Verifier(accounts, max_age=settings.max_age))]


async def _of_public_url(url: str, tester: Account | None, client: redis.Redis, say: Say) -> list[Finding]:
    findings = list(certificate_findings(url, now=datetime.now(UTC)))
    if any(finding.level is Level.ERROR for finding in findings):
        return findings
    found = list(await public_url_findings(url))
    if not found and tester is not None:
        found = list(await self_test(url, tester, client, nonce=secrets.token_hex(8), now=time.time(), say=say))
    return findings + found


async def _of_nexmo(settings: Settings, accounts: Accounts) -> AsyncIterator[Finding]:
    public_url = check_public_url(settings.public_url) if settings.public_url else None
    for account in accounts:
        if not account.api_secret:
            continue
        async with api_of(settings, account) as api:
            async for finding in nexmo_findings(api, account, public_url):
                yield finding


def _tester(accounts: Accounts) -> Account | None:
    return next((account for account in accounts if account.secrets), None)


@contextmanager
def _redis(settings: Settings) -> Iterator[tuple[redis.Redis, Finding | None]]:
    """Connect, and yield the client with a finding if the server cannot be used."""
    url = settings.redis_url.get_secret_value()
    problem = None
    try:
        redis_client.reachable(url)
    except ConfigurationError as refusal:
        what = f"{refusal}: callbacks are spooled on disk, and no handler runs"
        problem = error("redis-down", what, "start Redis, or check ACKFIRST_REDIS_URL")
    client = redis_client.sync_redis(url)
    try:
        yield client, problem
    finally:
        client.close()


async def _first(review: QuarantineReview, count: int) -> AsyncIterator[Entry]:
    async for entry in review.newest_first():
        if not count:
            return
        count -= 1
        yield entry


def _show(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(finding.as_dict()))
        return
    color = "red" if finding.level is Level.ERROR else "yellow"
    click.echo(f"{click.style(f'{finding.level.value:<7}', fg=color, bold=True)} {finding.id}: {finding.what}")
    click.echo(f"        → {finding.fix}")
