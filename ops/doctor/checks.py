"""Run every check of an installation, one after the other, and collect what they find."""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import redis

from ackfirst.ops.apps.activity import last_times, watched_since
from ackfirst.ops.doctor.configuration import (
    accounts_findings,
    files_findings,
    handlers_findings,
    secret_files_findings,
)
from ackfirst.ops.doctor.edge import (
    certificate_findings,
    exposure_findings,
    ingest_findings,
    ports_findings,
    public_url_findings,
    self_test,
)
from ackfirst.ops.doctor.machine import disk_findings
from ackfirst.ops.doctor.nexmo import Traffic, nexmo_findings
from ackfirst.ops.doctor.quarantined import secrets_findings
from ackfirst.ops.doctor.queue import queue_findings
from ackfirst.ops.doctor.record import look_at_record
from ackfirst.ops.doctor.redis_server import redis_findings
from ackfirst.ops.nexmo_api import api_of
from ackfirst.ops.webhooks.urls import check_public_url
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.findings import Finding, Level, error
from ackfirst.shared.findings.judge import errors_first
from ackfirst.shared.quarantine.review import Entry, QuarantineReview
from ackfirst.shared.queue import keys
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings
from ackfirst.shared.verification import Verifier

#: Newest records of the quarantine that are verified again.
NEWEST_RECORDS: Final = 20
#: Seconds to wait for one answer of Redis.
REDIS_SECONDS: Final = 5.0

Say = Callable[[str], None]


async def look_over(
    settings: Settings, accounts: Accounts, say: Say, *, environ: Mapping[str, str], with_self_test: bool
) -> list[Finding]:
    """Run every check. Returns the findings, errors first.

    Args:
        settings: The installation's.
        accounts: Ours.
        say: Is given a line for each thing that was measured.
        environ: The variables that the settings come from: some name files with secrets.
        with_self_test: Send a callback through the public URL.
    """
    findings = [*accounts_findings(settings, accounts), *files_findings(settings), *handlers_findings(settings)]
    findings += secret_files_findings(environ)
    findings += disk_findings(settings.data_dir)
    traffic = Traffic({}, None)
    with _redis(settings) as (client, problem):
        is_readable = problem is None
        if problem is not None:
            findings.append(problem)
        else:
            try:
                findings += redis_findings(client, replicas=settings.redis_replicas)
                found, traffic = await _of_queue(settings, accounts)
                findings += found
            except redis_client.FAILURES as refusal:  # it went meanwhile, or a key is of another type, or forbidden
                is_readable = False
                findings.append(_unreadable_queue(refusal))
        findings += await _of_ingest(settings, known={finding.id for finding in findings})
        if settings.public_url:
            tester = _tester(accounts) if with_self_test and is_readable else None
            findings += await _of_public_url(check_public_url(settings.public_url), tester, client, say)
    findings += [finding async for finding in _of_nexmo(settings, accounts, traffic)]
    return errors_first(findings)


async def _of_queue(settings: Settings, accounts: Accounts) -> tuple[list[Finding], Traffic]:
    client = redis_client.async_redis(settings.redis_url.get_secret_value(), timeout=REDIS_SECONDS)
    now = time.time()
    try:
        record = await look_at_record(client, settings, now=now)
        findings = await queue_findings(client, settings, now=time.time(), gap_events=record.gap_events)
        newest = [entry.record async for entry in _first(QuarantineReview(client), NEWEST_RECORDS)]
        traffic = Traffic(await last_times(client, keys.LAST_CALLBACKS, accounts), await watched_since(client))
    finally:
        await client.aclose()
    records = [one for one in newest if one is not None]
    verifier = Verifier(accounts, max_age=settings.max_age)
    secrets = secrets_findings(accounts, records, verifier, verified=traffic.last)
    return [*record.findings, *findings, *secrets], traffic


def _unreadable_queue(refusal: Exception) -> Finding:
    return error(
        "redis-down",
        f"Redis can be reached, and the queue in it cannot be read ({refusal}): nothing is known of workers and lanes",
        "look at what the message names: a key of another type, a user without rights, or a Redis that went away",
    )


async def _first(review: QuarantineReview, count: int) -> AsyncIterator[Entry]:
    async for entry in review.newest_first():
        if not count:
            return
        count -= 1
        yield entry


async def _of_ingest(settings: Settings, *, known: set[str]) -> list[Finding]:
    """Ask ingest for its reasons, and leave out what was found already: it judges the same queue."""
    reasons = list(await ingest_findings(settings.admin_listen))
    is_up = all(reason.id != "ingest-down" for reason in reasons)
    ports = await ports_findings(settings, is_ingest_up=is_up)
    return [*(reason for reason in reasons if reason.id not in known), *ports]


async def _of_public_url(url: str, tester: Account | None, client: redis.Redis, say: Say) -> list[Finding]:
    findings = list(certificate_findings(url, now=datetime.now(UTC)))
    if any(finding.level is Level.ERROR for finding in findings):
        return findings
    found = list(await public_url_findings(url))
    if not found and tester is not None:
        found = list(await self_test(url, tester, client, nonce=secrets.token_hex(8), now=time.time(), say=say))
    return [*findings, *found, *await exposure_findings(url)]


async def _of_nexmo(settings: Settings, accounts: Accounts, traffic: Traffic) -> AsyncIterator[Finding]:
    public_url = check_public_url(settings.public_url) if settings.public_url else None
    for account in accounts:
        if not account.api_secret:
            continue
        async with api_of(settings, account) as api:
            async for finding in nexmo_findings(api, account, public_url, traffic, now=time.time()):
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
