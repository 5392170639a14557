"""Every setting of every process: name, default, limits, meaning. ``docs/settings.md`` shows them as a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.sms_signature import SmsMethod
from ackfirst.shared.policy import Policy
from ackfirst.shared.queue.job import JobOptions
from ackfirst.shared.settings import environment
from ackfirst.shared.settings.types import (
    Address,
    Durations,
    ListenAddress,
    Names,
    Seconds,
    Secret,
    WholeSeconds,
    expanded,
    lower,
    module_names,
    redis_scheme,
    user_name,
)

__all__ = ["Address", "Settings", "load_settings"]

LogFormat = Literal["json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

_Folder = Annotated[Path, AfterValidator(expanded)]


class Settings(BaseSettings):
    """All settings, read once at the start of a process and never changed."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    listen: ListenAddress = Field(
        Address("0.0.0.0", 8080),  # noqa: S104 - the edge is what the provider must reach
        description="Address of the public server, for Nexmo's callbacks: `host:port`, `[::1]:port` or `:port`.",
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
    redis_url: Annotated[Secret, AfterValidator(redis_scheme)] = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="The queue: `redis://`, `rediss://` (TLS), `unix://` or `redis+sentinel://`. "
        "`ackfirst dev` starts a server of its own when this is not set.",
    )
    data_dir: _Folder = Field(
        Path(".ackfirst"), description="Folder of everything that ackfirst keeps on disk; made when it is missing."
    )
    config: _Folder = Field(
        Path("ackfirst.toml"),
        description="File of the accounts, see `ackfirst.example.toml`. "
        "It may be missing only while this setting is not set.",
    )
    api_key: str | None = Field(None, description="API key of one Nexmo account, in place of a file or along with it.")
    signature_secret: Secret | None = Field(
        None, description="Signature secret of the account that `ACKFIRST_API_KEY` names."
    )
    sms_signature_method: SmsMethod = Field(
        "md5hash",
        description="How the SMS API signs for that account: `md5hash`, `md5`, `sha1`, `sha256` or `sha512`, "
        "as the account's settings at Nexmo say.",
    )
    handlers: Annotated[Names, AfterValidator(module_names)] = Field(
        (), description="Modules that hold your handlers, comma separated: `myapp.callbacks`."
    )
    policy: Policy = Field(
        Policy.NEVER_STALL,
        description="How to answer what cannot be verified: `never-stall` or `strict`; `ackfirst policy` shows both.",
    )
    ack_deadline: Seconds = Field(
        0.25, gt=0, le=60, description="Longest wait for Redis; then a verified event goes to the spool on disk."
    )
    log_format: LogFormat | None = Field(
        None, description="`json` or `console`; not set: `console` on a terminal, `json` elsewhere."
    )
    log_level: Annotated[LogLevel, BeforeValidator(lower)] = Field(
        "info", description="Least severe level that is logged: `debug`, `info`, `warning` or `error`."
    )
    log_personal: bool = Field(
        default=False, description="Show phone numbers and texts in logs and in the dashboard instead of masking them."
    )
    require_safe_redis: bool = Field(
        default=False, description="Refuse to start, instead of warning, when Redis could lose what was acknowledged."
    )
    max_body_bytes: int = Field(1_048_576, ge=1, description="Largest body of a callback; above it the answer is 413.")
    body_timeout: Seconds = Field(10.0, gt=0, description="Longest time that a sender may take for a callback's body.")
    max_connections: int = Field(
        10_000,
        ge=1,
        description="Most connections that one ingest process keeps open; for a further one the connection is closed "
        "that has waited longest for its sender.",
    )
    max_age: Annotated[Seconds, Field(gt=0)] | None = Field(
        None,
        description="Oldest token that counts as verified, by its `iat`. Not set: any age, because a provider's retry "
        "may carry an old token and a replay is recognised as a duplicate.",
    )
    dedupe_seconds: WholeSeconds = Field(
        259_200,
        ge=1,
        description="How long an event is remembered at the least (a third longer at the most), so that its second "
        "delivery is not queued again.",
    )
    quarantine_max_records: int = Field(10_000, ge=1, description="Most callbacks that the quarantine holds.")
    quarantine_max_bytes: int = Field(67_108_864, ge=1, description="Most bytes that the quarantine holds.")
    quarantine_rate: float = Field(
        200.0,
        gt=0,
        description="Most callbacks that one ingest process puts into quarantine; above it the answer is 429.",
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
    redis_high_water: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Share of Redis' `maxmemory` above which new events go to disk, so that workers, which need "
        "memory too, can empty the queue.",
    )
    handler_timeout: Seconds = Field(
        30.0, gt=0, description="Longest run of a handler that names no `timeout` of its own."
    )
    handler_concurrency: int = Field(
        100, ge=1, le=1000, description="Most events of one lane whose async handlers run at once in one engine."
    )
    job_timeout: WholeSeconds = Field(180, ge=1, description="Longest run of all handlers of one event together.")
    result_ttl: WholeSeconds = Field(300, ge=0, description="How long a finished job stays visible in Redis.")
    failure_ttl: WholeSeconds = Field(604_800, ge=1, description="How long a dead letter is kept in Redis.")
    retry_schedule: Annotated[Durations, Field(min_length=1, max_length=100)] = Field(
        (5, 30, 120, 600, 3600, 21_600),
        description="Waits before the retries of a failed handler, comma separated; after the last one the event "
        "is a dead letter.",
    )
    stop_grace: Seconds = Field(
        30.0, gt=0, description="Time that a process has to finish its work after SIGTERM before it is killed."
    )
    dashboard_listen: ListenAddress = Field(Address("127.0.0.1", 9181), description="Address of the dashboard.")
    dashboard_username: Annotated[str, AfterValidator(user_name)] = Field(
        "ackfirst", description="User name that the dashboard asks for."
    )
    dashboard_password: Secret | None = Field(
        None,
        description="Password that the dashboard asks for. Not set: one is made at the first start and kept in "
        "`dashboard-password` in the data folder.",
    )

    @property
    def job_options(self) -> JobOptions:
        """What every job is given."""
        return JobOptions(
            timeout=self.job_timeout,
            result_ttl=self.result_ttl,
            failure_ttl=self.failure_ttl,
            retry_intervals=self.retry_schedule,
        )

    @property
    def redis_url_given(self) -> bool:
        """Whether somebody chose the Redis, or it is only the default."""
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
        """Values come from the constructor alone: ``load_settings`` reads the environment that it is given."""
        return (init_settings,)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.signature_secret is not None and not self.api_key:
            raise ValueError("ACKFIRST_SIGNATURE_SECRET is set, but ACKFIRST_API_KEY is not: set the account's API key")
        if self.handler_timeout > self.job_timeout:
            raise ValueError(
                f"ACKFIRST_HANDLER_TIMEOUT ({self.handler_timeout:g} s) is longer than "
                f"ACKFIRST_JOB_TIMEOUT ({self.job_timeout} s): no handler could use it"
            )
        return self


#: Settings that are never shown, and that may also come from a file.
SECRETS: Final = ("redis_url", "signature_secret", "dashboard_password")


def load_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that ``environ`` (usually ``os.environ``) gives.

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
