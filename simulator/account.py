"""Choose the account in whose name callbacks are signed: from options, environment or accounts file."""

from dataclasses import dataclass, field
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.sms_signature import SmsMethod

_MADE_UP_APPLICATIONS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningAccount:
    """An account as Nexmo knows it: what is needed to sign its callbacks."""

    api_key: str
    secret: bytes = field(repr=False)
    sms_method: SmsMethod = "md5hash"
    applications: tuple[str, ...] = ()
    allow_unsigned: frozenset[Family] = frozenset()
    """Families that the receiver accepts without a signature."""
    url_token: str | None = field(default=None, repr=False)
    """Value of the ``token`` parameter of the account's webhook URLs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOptions:
    """The account as given on the command line; None where an option was not given."""

    api_key: str | None = None
    secret: str | None = field(default=None, repr=False)
    sms_method: SmsMethod | None = None
    applications: tuple[str, ...] = ()


def signing_account(options: AccountOptions, accounts: Accounts) -> SigningAccount:
    """Return the account to sign for: the one that the options name, else the first configured one with a secret.

    Raises:
        ConfigurationError: There is none, or its secret is not known.
    """
    known = _known(options, accounts)
    api_key = options.api_key or (known.api_key if known else "")
    return SigningAccount(
        api_key=api_key,
        secret=_secret(options, known, api_key),
        sms_method=options.sms_method or (known.sms_signature_method if known else "md5hash"),
        applications=options.applications or _applications(api_key, known),
        allow_unsigned=known.allow_unsigned if known else frozenset(),
        url_token=known.url_token if known else None,
    )


def _known(options: AccountOptions, accounts: Accounts) -> Account | None:
    if options.api_key is not None:
        return accounts.get(options.api_key)
    first = next((account for account in accounts if account.secrets), None)
    if first is None:
        raise ConfigurationError(
            "there is no account to sign for: set ACKFIRST_API_KEY and ACKFIRST_SIGNATURE_SECRET, "
            "describe it in ackfirst.toml, or give --api-key and --secret"
        )
    return first


def _secret(options: AccountOptions, known: Account | None, api_key: str) -> bytes:
    if options.secret is not None:
        secret = options.secret.encode()
    else:
        secret = known.secrets[0] if known and known.secrets else b""
    if not secret:
        raise ConfigurationError(f"the signature secret of account {api_key} is not configured here: give --secret")
    return secret


def _applications(api_key: str, known: Account | None) -> tuple[str, ...]:
    """Return the configured ids; else the same made-up ones in every run, so that runs do not fill Redis with lanes."""
    if known and known.applications:
        return tuple(known.applications)
    return made_up_applications(api_key)


def made_up_applications(api_key: str) -> tuple[str, ...]:
    """Return ids for an account without configured applications; they depend on ``api_key`` only."""
    names = (f"https://ackfirst.example/{api_key}/{number}" for number in range(_MADE_UP_APPLICATIONS))
    return tuple(str(uuid5(NAMESPACE_URL, name)) for name in names)
