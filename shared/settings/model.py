"""Define every setting: name, default, limits and meaning. ``make docs`` writes them into ``docs/settings.md``."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.sms_signature import SmsMethod
from ackfirst.shared.policy import Policy
from ackfirst.shared.queue.job import RESULT_TTL_SECONDS, JobOptions
from ackfirst.shared.redis.replicated import Replicas
from ackfirst.shared.settings import environment
from ackfirst.shared.settings.types import (
    OFF,
    Address,
    Durations,
    ListenAddress,
    ListenAddresses,
    Names,
    Seconds,
    Secret,
    WholeSeconds,
    expanded,
    long_enough_to_keep,
    lower,
    module_names,
    stripped,
    supported_redis_url,
    supported_store_url,
)

__all__ = ["Address", "Settings", "load_settings"]

LogFormat = Literal["json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

_Folder = Annotated[Path, AfterValidator(expanded)]

#: A job may take as long as this many handlers that each use their whole timeout.
_HANDLERS_PER_JOB: Final = 6


class Settings(BaseSettings):
    """All settings of a process, read once at its start.

    Only what an operator has a reason to change is a setting; every other limit is a constant beside its code.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    listen: ListenAddresses = Field(
        (Address("0.0.0.0", 8080),),  # noqa: S104 - the provider must reach it
        description="Addresses of the public server, for Nexmo's callbacks, comma separated: `host:port`, "
        "`[::1]:port` or `:port`. `0.0.0.0` is every IPv4 address, `[::]` every IPv6 address and no IPv4 one; for "
        "both: `0.0.0.0:8080,[::]:8080`.",
    )
    base_path: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9._~-]+)*/?$",
        description="What stands in front of `/webhooks/…` in the public URL, where no proxy takes it off: `/nexmo`.",
    )
    admin_listen: ListenAddress = Field(
        Address("127.0.0.1", 8081),
        description="Address of ingest's admin server: `/metrics`, `/readyz`, `/healthz`. Not for the public.",
    )
    redis_url: Annotated[Secret, BeforeValidator(stripped), AfterValidator(supported_redis_url)] = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="The queue: `redis://`, `rediss://` (TLS), `unix://` or `redis+sentinel://`. "
        "`ackfirst dev` starts a server of its own when this is not set.",
    )
    public_url: str | None = Field(
        None, description="Base URL at which Nexmo reaches ingest, such as `https://hooks.example.com`."
    )
    nexmo_api_url: str = Field("https://api.nexmo.com", description="Base URL of Nexmo's Application API.")
    nexmo_rest_url: str = Field("https://rest.nexmo.com", description="Base URL of Nexmo's Account and Numbers APIs.")
    data_dir: _Folder = Field(
        Path(".ackfirst"),
        description="Folder of everything that ackfirst keeps on disk; created, for its owner only, if it is missing.",
    )
    config: _Folder = Field(
        Path("ackfirst.toml"),
        description="File of the accounts, see `ackfirst.example.toml`. "
        "It may be missing only while this setting is not set.",
    )
    api_key: str | None = Field(None, description="API key of one Nexmo account, instead of a file or along with it.")
    signature_secret: Secret | None = Field(
        None, description="Signature secret of the account that `ACKFIRST_API_KEY` names."
    )
    api_secret: Secret | None = Field(
        None,
        description="Account secret of that account, for Nexmo's management APIs (`ackfirst webhooks`); "
        "not the signature secret.",
    )
    sms_signature_method: SmsMethod = Field(
        "md5hash",
        description="How the SMS API signs for that account: `md5hash`, `md5`, `sha1`, `sha256` or `sha512`, "
        "as the account's settings at Nexmo say.",
    )
    handlers: Annotated[Names, AfterValidator(module_names)] = Field(
        (), description="Modules that hold your handlers, comma separated: `myapp.callbacks`."
    )
    store_url: Annotated[Secret, BeforeValidator(stripped), AfterValidator(supported_store_url)] | None = Field(
        None,
        description="The record of what happened: `postgresql://user@host/name`, `sqlite:///path/of/file` or `off`. "
        "Not set: `record.db` in the data folder. Ingest and workers must agree on whether it is on.",
    )
    store_keep: Annotated[WholeSeconds, AfterValidator(long_enough_to_keep)] = Field(
        7_776_000, description="How long the record keeps an event after its arrival."
    )
    redaction_key: Secret | None = Field(
        None,
        description="Key of the hashes that `ackfirst redact` puts in place of numbers; the same on every machine. "
        "Not set: one is made at the first use and kept in `redaction-key` in the data folder.",
    )
    policy: Policy = Field(
        Policy.NEVER_STALL,
        description="How to answer what cannot be verified: `never-stall` or `strict`; `ackfirst policy` shows both.",
    )
    ack_deadline: Seconds = Field(
        0.25, gt=0, le=60, description="Longest wait for Redis; then a verified event goes to the spool on disk."
    )
    redis_replicas: int = Field(
        0,
        ge=0,
        le=10,
        description="Replicas of Redis that must have a callback before it is answered 200; while they have not, it "
        "goes to the spool on disk. As many as may take over, so that the loss of the master's machine loses nothing.",
    )
    max_age: Annotated[Seconds, Field(gt=0)] | None = Field(
        None,
        description="Oldest token that counts as verified, by its `iat`. Not set: any age, because a provider's retry "
        "may carry an old token and a replay is recognised as a duplicate.",
    )
    spool_max_bytes: int = Field(
        1_073_741_824,
        ge=1,
        description="Most bytes that one ingest process keeps on disk, in `spool` in the data folder, while Redis "
        "cannot take events; above it the answer is 503.",
    )
    spool_max_age: Seconds = Field(
        86_400.0,
        gt=0,
        description="Longest time that an event should wait on disk. Above it there is an alarm; the event is kept.",
    )
    require_safe_redis: bool = Field(
        default=False, description="Refuse to start, instead of warning, when Redis could lose what was acknowledged."
    )
    handler_timeout: Seconds = Field(
        30.0,
        gt=0,
        description="Longest run of a handler that names no `timeout` of its own. All handlers of one event together "
        "may take six times as long.",
    )
    threads: int = Field(
        8,
        ge=1,
        le=256,
        description="Plain handlers that run at once in one worker process; 1 for code that is not safe in threads.",
    )
    retry_schedule: Annotated[Durations, Field(min_length=1, max_length=100)] = Field(
        (5, 30, 120, 600, 3600, 21_600),
        description="Waits before the retries of a failed handler, comma separated; after the last one the event "
        "is a dead letter.",
    )
    failure_ttl: WholeSeconds = Field(604_800, ge=1, description="How long a dead letter is kept in Redis.")
    stop_grace: Seconds = Field(
        30.0, gt=0, description="Time that a process has to finish its work after SIGTERM before it is killed."
    )
    log_format: LogFormat | None = Field(
        None, description="`json` or `console`; not set: `console` on a terminal, `json` elsewhere."
    )
    log_level: Annotated[LogLevel, BeforeValidator(lower)] = Field(
        "info", description="Least severe level that is logged: `debug`, `info`, `warning` or `error`."
    )
    log_personal: bool = Field(
        default=False,
        description="Show phone numbers and texts in logs and on the operator's page instead of masking them.",
    )
    web_listen: ListenAddress = Field(Address("127.0.0.1", 9181), description="Address of the operator's page.")
    web_password: Secret | None = Field(
        None,
        description="Password that the operator's page asks for, along with the user name `ackfirst`. Not set: one is "
        "made at the first start and kept in `web-password` in the data folder.",
    )
    web_viewer_password: Secret | None = Field(
        None,
        description="Password of the user `viewer` of that page, who sees everything but personal data and changes "
        "nothing. Not set: there is no such user.",
    )

    @property
    def job_timeout(self) -> int:
        """Seconds that all handlers of one event may take together."""
        return max(1, math.ceil(_HANDLERS_PER_JOB * self.handler_timeout))

    @property
    def replicas(self) -> Replicas:
        """Replicas that must confirm a write, within the ack deadline."""
        return Replicas(self.redis_replicas, self.ack_deadline)

    @property
    def job_options(self) -> JobOptions:
        """Limits that ingest writes into every job."""
        return JobOptions(
            timeout=self.job_timeout,
            result_ttl=RESULT_TTL_SECONDS,
            failure_ttl=self.failure_ttl,
            retry_intervals=self.retry_schedule,
            is_recorded=self.is_recorded,
        )

    @property
    def is_recorded(self) -> bool:
        """Return whether the record is on."""
        return self.record_url is not None

    @property
    def record_url(self) -> str | None:
        """URL of the record's store, None if the record is off. It may hold a password."""
        if self.store_url is None:
            return f"sqlite:///{self.embedded_record}"
        url: str = self.store_url.get_secret_value()
        return None if url == OFF else url

    @property
    def embedded_record(self) -> Path:
        """File of the record where no store is named."""
        return self.data_dir / "record.db"

    @property
    def redis_url_given(self) -> bool:
        """True if the environment names a Redis, False if it is only the default."""
        return "redis_url" in self.model_fields_set

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings calls by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the constructor alone: ``load_settings`` reads the environment that it is given."""
        return (init_settings,)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.signature_secret is not None and not self.api_key:
            raise ValueError("ACKFIRST_SIGNATURE_SECRET is set, but ACKFIRST_API_KEY is not: set the account's API key")
        if self.api_secret is not None and not self.api_key:
            raise ValueError("ACKFIRST_API_SECRET is set, but ACKFIRST_API_KEY is not: set the account's API key")
        return self


#: Settings that are never shown, and that may also come from a file (``ACKFIRST_<NAME>_FILE``).
SECRETS: Final = (
    "redis_url",
    "store_url",
    "signature_secret",
    "api_secret",
    "redaction_key",
    "web_password",
    "web_viewer_password",
)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from ``environ`` (usually ``os.environ``).

    Every field is ``ACKFIRST_<FIELD>``; a secret may be ``ACKFIRST_<FIELD>_FILE`` instead, the name of a file that
    holds it.

    Raises:
        ConfigurationError: An ``ACKFIRST_*`` name is not known, or a value is not possible; the message names it.
    """
    texts = environment.given(environ, Settings.model_fields, SECRETS)
    try:
        return Settings(**texts)  # type: ignore[arg-type]  # text becomes each field's own type
    except ValidationError as error:
        raise ConfigurationError(environment.sentence(error, texts, SECRETS)) from None
