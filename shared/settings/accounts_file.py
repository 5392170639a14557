"""Load all accounts: those of the configured file, and the one of the environment."""

from dataclasses import replace
from pathlib import Path

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.accounts_toml import parse_accounts
from ackfirst.shared.settings.types import doubt


def load_accounts(settings: Settings) -> Accounts:
    """Load the accounts of the file that ``settings`` names, and the one of ``ACKFIRST_API_KEY``.

    An account in both is one account: the secret of the environment is tried first, then those of the file. A missing
    file counts as empty, unless ``ACKFIRST_CONFIG`` names it.

    Raises:
        ConfigurationError: The file cannot be read, or a key or value in it is not possible; the message names file,
            account and key, and never holds a secret.
    """
    accounts = {account.api_key: account for account in _from_file(settings)}
    if settings.api_key is not None:
        accounts[settings.api_key] = _with_environment(accounts.get(settings.api_key), settings.api_key, settings)
    for account in accounts.values():
        _check_confirmable(account, settings.config)
    return Accounts(accounts.values())


def _from_file(settings: Settings) -> list[Account]:
    file = settings.config
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        if "config" not in settings.model_fields_set:
            return []
        raise ConfigurationError(f"{file} does not exist: check ACKFIRST_CONFIG") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read ({error.strerror}): check ACKFIRST_CONFIG") from None
    return parse_accounts(content, str(file))


def _with_environment(known: Account | None, api_key: str, settings: Settings) -> Account:
    account = known or Account(api_key=api_key, secrets=())
    if settings.signature_secret is not None:
        secret = settings.signature_secret.get_secret_value().encode()
        account = replace(account, secrets=tuple(dict.fromkeys((secret, *account.secrets))))
    if settings.api_secret is not None:
        account = replace(account, api_secret=settings.api_secret.get_secret_value())
    if "sms_signature_method" in settings.model_fields_set:
        account = replace(account, sms_signature_method=settings.sms_signature_method)
    return account


def _check_confirmable(account: Account, file: Path) -> None:
    if not account.secrets and not account.allow_unsigned:
        raise ConfigurationError(
            f"account {account.api_key} has no signature secret: list it under secrets in {file}, "
            f"or set ACKFIRST_API_KEY and ACKFIRST_SIGNATURE_SECRET"
        )


def doubtful_secrets(accounts: Accounts) -> list[str]:
    """Describe every secret that looks mistyped, by account and position: ``account abcd, secret 1: …``."""
    return [
        f"account {account.api_key}, secret {number}: {words}"
        for account in accounts
        for number, secret in enumerate(account.secrets, 1)
        if (words := doubt(secret.decode(errors="replace")))
    ]
