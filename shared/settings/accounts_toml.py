"""Parse ``ackfirst.toml`` into accounts; every mistake in it is named by file, account and key."""

import difflib
import tomllib
from collections.abc import Iterator
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ackfirst.shared.accounts import Account, Application, is_lane_name
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.sms_signature import SmsMethod
from ackfirst.shared.settings import environment
from ackfirst.shared.settings.types import Secret, without_line_ends


def _lane(name: str) -> str:
    if not is_lane_name(name):
        raise ValueError("a lane's name is 1 to 64 letters, digits, hyphens and underscores")
    return name


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("the value is blank")
    return text.strip()


_Text = Annotated[str, BeforeValidator(without_line_ends), AfterValidator(_filled)]
_Lane = Annotated[str, AfterValidator(_lane)]

# pydantic names the wrong type in Python's terms; an operator knows TOML's.
_IN_TOML: Final = {
    "dict_type": "it should be a table",
    "model_type": "it should be a table",
    "list_type": 'it should be a list, such as ["…"]',
    "frozen_set_type": 'it should be a list, such as ["…"]',
    "string_type": "it should be a text in quotes",
}


class _Entry(BaseModel):
    """Base of all tables of the file: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _ApplicationEntry(_Entry):
    """``[accounts.<api_key>.applications.<id>]``."""

    name: _Text | None = None
    lane: _Lane | None = None


class _AccountEntry(_Entry):
    """``[accounts.<api_key>]``."""

    name: _Text | None = None
    secrets: list[Secret] = Field(default_factory=list)
    api_secret: Secret | None = None
    sms_signature_method: SmsMethod = "md5hash"
    allow_unsigned: frozenset[Family] = frozenset()
    url_token: Secret | None = None
    lane: _Lane | None = None
    applications: dict[_Text, _ApplicationEntry] = Field(default_factory=dict)


class _File(_Entry):
    """The file."""

    accounts: dict[_Text, _AccountEntry] = Field(default_factory=dict)


def parse_accounts(content: bytes, file: str) -> list[Account]:
    """Parse the accounts of a configuration file.

    Args:
        content: TOML in UTF-8, with or without a byte order mark.
        file: The file's name in messages.

    Raises:
        ConfigurationError: The file is not valid TOML, or a key or value in it is not possible.
    """
    try:
        tables = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8 text (byte {error.start})") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from None
    try:
        entries = _File.model_validate(tables).accounts
    except ValidationError as error:
        raise ConfigurationError("; ".join(dict.fromkeys(_problems(error, file)))) from None
    return [_account(api_key, entry) for api_key, entry in entries.items()]


def _account(api_key: str, entry: _AccountEntry) -> Account:
    applications = {id_: Application(id=id_, name=app.name, lane=app.lane) for id_, app in entry.applications.items()}
    return Account(
        api_key=api_key,
        secrets=tuple(secret.get_secret_value().encode() for secret in entry.secrets),
        api_secret=entry.api_secret.get_secret_value() if entry.api_secret else None,
        name=entry.name,
        sms_signature_method=entry.sms_signature_method,
        allow_unsigned=entry.allow_unsigned,
        url_token=entry.url_token.get_secret_value() if entry.url_token else None,
        lane=entry.lane,
        applications=MappingProxyType(applications),
    )


def _problems(error: ValidationError, file: str) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_input=False):
        place = [_part(part) for part in problem["loc"] if part != "[key]"]
        if problem["type"] == "extra_forbidden":
            yield f"{_where(file, place[:-1])}: {_unknown_key(place)}"
        else:
            yield f"{_where(file, place)}: {_IN_TOML.get(problem['type']) or environment.describe(problem)}"


def _part(part: str | int) -> str:
    return f"entry {part + 1}" if isinstance(part, int) else part


def _where(file: str, place: list[str]) -> str:
    """Format ``["accounts", "abcd", "secrets", "entry 1"]`` as ``ackfirst.toml, account abcd, secrets, entry 1``."""
    words = list(place)
    for index, table in ((0, "accounts"), (2, "applications")):
        if words[index : index + 1] == [table] and len(words) > index + 1:
            words[index : index + 2] = [f"{table.removesuffix('s')} {words[index + 1]}", ""]
    return ", ".join([file, *filter(None, words)])


def _unknown_key(place: list[str]) -> str:
    entry: Any = {1: _File, 3: _AccountEntry}.get(len(place), _ApplicationEntry)
    near = difflib.get_close_matches(place[-1], entry.model_fields, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(entry.model_fields)}"
    return f"{place[-1]!r} is not a key here; {hint}"
