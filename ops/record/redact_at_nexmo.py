"""Make Nexmo forget messages: its Redact API, one request a message."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

from ackfirst.ops.nexmo_api import NexmoApiError
from ackfirst.ops.nexmo_api.records import RecordsApi, Transaction, records_api_of
from ackfirst.ops.record.redaction import Place
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.plural import plural
from ackfirst.shared.settings import Settings

_FORBIDDEN: Final = 403


async def redact_at_nexmo(
    transactions: Iterable[Transaction], accounts: Accounts, settings: Settings, *, dry_run: bool
) -> list[Place]:
    """Redact messages at Nexmo, account by account; what was refused is left for another call."""
    by_account: defaultdict[str | None, list[Transaction]] = defaultdict(list)
    for one in sorted(transactions, key=lambda one: (one.account or "", one.message_id, one.product, one.direction)):
        by_account[one.account].append(one)
    places = []
    for api_key, mine in by_account.items():
        name = f"Nexmo {api_key or ''}".rstrip()
        account = _account(api_key, accounts)
        if account is None or not account.api_secret:
            whose = f"of account {api_key}" if api_key else "of the account"
            missing = f"the account secret {whose} is not known, set ACKFIRST_API_SECRET or api_secret"
            why = f"{plural(len(mine), 'message')}: {missing}"
            places.append(Place(name, unreached=why))
        elif dry_run:
            places.append(Place(name, len(mine)))
        else:
            async with records_api_of(settings, account) as api:
                places.append(await _redact(name, mine, api))
    return places


async def _redact(name: str, transactions: list[Transaction], api: RecordsApi) -> Place:
    done = 0
    refused: Counter[str] = Counter()
    for number, one in enumerate(transactions):
        try:
            await api.redact(one)
        except NexmoApiError as error:
            if error.is_missing:  # Nexmo has nothing of it any more, or never had
                continue
            refused[_reason(error, one)] += 1
            if error.status not in (_FORBIDDEN, 422):
                left = len(transactions) - number - 1
                refused["not tried after that"] += left
                break
        else:
            done += 1
    said = "; ".join(f"{plural(count, 'message')}: {reason}" for reason, count in refused.items() if count)
    return Place(name, done, f"{said}: run this again later" if said else None)


def _reason(error: NexmoApiError, transaction: Transaction) -> str:
    """Return the refusal without the id of the message, so that equal ones are counted together."""
    return str(error).replace(transaction.message_id, "…")


def _account(api_key: str | None, accounts: Accounts) -> Account | None:
    if api_key is not None:
        return accounts.get(api_key)
    known = list(accounts)
    return known[0] if len(known) == 1 else None
