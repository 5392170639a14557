"""Gather the evidence on one application: from Redis, the spools, the record and Nexmo."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson
from redis.asyncio import Redis

from ackfirst.ops.apps import activity
from ackfirst.ops.apps.known import recorded_times
from ackfirst.ops.apps.quiet import AtNexmo, Evidence
from ackfirst.ops.nexmo_api import NexmoApiError, api_of
from ackfirst.ops.webhooks.urls import check_public_url, messages_url, without_token
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.plural import plural
from ackfirst.shared.quarantine.review import QuarantineReview
from ackfirst.shared.queue import keys
from ackfirst.shared.settings import Address, Settings
from ackfirst.shared.verification import Verifier

#: Seconds to wait for ingest's own report.
READY_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Found:
    """The application at Nexmo, and whose it is."""

    account: Account
    content: dict[str, Any]


async def gather(redis: Redis, settings: Settings, accounts: Accounts, application_id: str) -> Evidence:
    """Look at everything once.

    Raises:
        Exception: One of ``FAILURES``, or ``QueueUnavailableError``: Redis does not answer.
    """
    callbacks = await activity.last_times(redis, keys.LAST_CALLBACKS, accounts)
    unconfirmed = await activity.last_times(redis, keys.LAST_UNCONFIRMED, accounts)
    recorded = recorded_times(settings)
    verified = {**callbacks, **{key: max(at, callbacks.get(key, 0.0)) for key, at in recorded.items()}}
    of_it = [account for account, id_ in (*verified, *unconfirmed) if id_ == application_id]
    account_keys = sorted({*of_it, *(account.api_key for account in accounts)})
    review = QuarantineReview(redis)
    arrivals = [at async for at in activity.quarantined(review, Verifier(accounts), application_id)]
    is_up, spooled = await _spooled(redis, settings, application_id)
    waiting: int | str
    retrying: int | str
    dead: int | str
    try:
        held = await activity.held_of(redis, application_id, accounts, account_keys)
    except activity.TooManyJobsError:
        waiting = retrying = dead = f"lanes that it may share hold over {activity.MOST_JOBS} events: not counted"
    else:
        waiting, retrying, dead = held.waiting, held.retrying, held.dead
    return Evidence(
        last_callback=_newest(verified, application_id),
        last_unconfirmed=max((*_times(unconfirmed, application_id), *arrivals), default=None),
        watched_since=await activity.watched_since(redis),
        waiting=waiting,
        retrying=retrying,
        dead=dead,
        quarantined=len(arrivals),
        quarantined_at=max(arrivals, default=None),
        spooled=spooled,
        is_ingest_up=is_up,
        nexmo=await at_nexmo(settings, accounts, application_id),
    )


def _times(times: dict[tuple[str, str], float], application_id: str) -> list[float]:
    return [at for (_, id_), at in times.items() if id_ == application_id]


def _newest(times: dict[tuple[str, str], float], application_id: str) -> float | None:
    return max(_times(times, application_id), default=None)


async def _spooled(redis: Redis, settings: Settings, application_id: str) -> tuple[bool, int | str]:
    """Return whether an ingest runs, and how many events of the application are on disks; a text if unknown."""
    try:
        of_it, here = activity.spooled_here(settings.data_dir, application_id)
    except OSError as error:
        return True, f"the spool on this machine cannot be read ({error.strerror}): run this as ingest's user"
    everywhere = await _spooled_by_figures(redis)
    if everywhere is None:
        everywhere = await _spooled_by_report(settings.admin_listen)
    if everywhere is None:
        return False, of_it
    if everywhere > here:
        elsewhere = plural(everywhere - here, "event")
        return True, f"{elsewhere} spooled by an ingest elsewhere, of applications that are not known here"
    return True, of_it


async def _spooled_by_figures(redis: Redis) -> int | None:
    """Return what all ingest processes report in Redis; None if none does."""
    names: Any = await redis.zrange(keys.INGEST_PROCESSES, 0, -1)
    texts: Any = await redis.mget([keys.ingest_figures(name.decode()) for name in names]) if names else []
    figures = [orjson.loads(text) for text in texts if text]
    if not figures:
        return None
    return sum(int(one.get("gauges", {}).get("spool_records", 0)) for one in figures)


async def _spooled_by_report(admin: Address) -> int | None:
    """Return what ``/readyz`` of the ingest on this machine says; None if it does not answer."""
    timeout = aiohttp.ClientTimeout(total=READY_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{admin.local()}/readyz") as response,
        ):
            return int((await response.json())["spool"]["records"])
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError):
        return None


async def find(settings: Settings, accounts: Accounts, application_id: str) -> Found | None:
    """Find an application in the accounts whose account secret is configured.

    Raises:
        NexmoApiError: An account could not be asked, and no other has it.
    """
    trouble: NexmoApiError | None = None
    for account in _asked(accounts):
        try:
            async with api_of(settings, account) as api:
                content = await api.application(application_id)
        except NexmoApiError as error:
            trouble = NexmoApiError(f"account {account.api_key}: {error}", status=error.status)
            continue
        if content is not None:
            return Found(account, content)
    if trouble is not None:
        raise trouble
    return None


async def at_nexmo(settings: Settings, accounts: Accounts, application_id: str) -> AtNexmo | str:
    """Return what is set at Nexmo for an application; a sentence if that cannot be asked."""
    if not _asked(accounts):
        return "Nexmo cannot be asked: set ACKFIRST_API_SECRET, or api_secret in ackfirst.toml"
    try:
        found = await find(settings, accounts, application_id)
        numbers = await _linked_numbers(settings, accounts, application_id)
    except NexmoApiError as error:
        return str(error)
    if found is None:
        unasked = ", ".join(account.api_key for account in accounts if not account.api_secret)
        if unasked:  # it may be theirs
            return f"no account that can be asked has it; set api_secret of {unasked} in ackfirst.toml, too"
        return AtNexmo(exists=False, numbers=numbers)
    urls = [url for name in ("inbound_url", "status_url") if (url := messages_url(found.content, name))]
    return AtNexmo(
        exists=True,
        urls=tuple(without_token(url) for url in urls),
        urls_are_ours=_are_ours(urls, settings),
        numbers=numbers,
    )


async def _linked_numbers(settings: Settings, accounts: Accounts, application_id: str) -> tuple[str, ...]:
    numbers: list[str] = []
    for account in _asked(accounts):
        async with api_of(settings, account) as api:
            numbers += [str(one.get("msisdn")) async for one in api.numbers() if one.get("app_id") == application_id]
    return tuple(numbers)


def _are_ours(urls: Sequence[str], settings: Settings) -> bool | None:
    if not settings.public_url:
        return None
    base = check_public_url(settings.public_url)
    return any(url == base or url.startswith(f"{base}/") for url in urls)


def _asked(accounts: Accounts) -> list[Account]:
    return [account for account in accounts if account.api_secret]
