"""Give the operator's commands settings and queue, also those of ``ackfirst dev``; parse times, escape text."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

import click
from redis import Redis
from redis.exceptions import RedisError

from ackfirst.shared import embedded
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.settings import Settings
from ackfirst.shared.settings.types import seconds

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


class CommandGroup(click.Group):
    """A group that lists its commands in the order of their definition."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the names of the commands."""
        return list(self.commands)


def operator_settings() -> Settings:
    """Load the settings of a command that works on the queue; say on stderr if it is that of ``ackfirst dev``."""
    return embedded.operator_settings(os.environ, partial(click.echo, err=True))


@contextmanager
def queue_redis(settings: Settings) -> Iterator[Redis]:
    """Connect to the queue's Redis for a ``with`` block.

    Raises:
        ConfigurationError: Redis cannot be reached.
        ClickException: It did not answer within the block.
    """
    url = settings.redis_url.get_secret_value()
    redis_client.reachable(url)
    with closing(redis_client.sync_redis(url)) as redis:
        try:
            yield redis
        except RedisError as error:
            raise click.ClickException(f"Redis did not answer: {error}") from error


def printable(text: str) -> str:
    """Escape control characters and lone surrogates: text from a callback must not steer a terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def moment(text: str, *, now: float) -> float:
    """Parse ``2h`` (so long before ``now``) or an ISO 8601 date or time, UTC by default, into Unix seconds.

    Raises:
        ValueError: It is neither.
    """
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()
    try:
        return now - float(seconds(text))
    except ValueError:
        raise ValueError("use an age such as 2h or 7d, or a time such as 2026-03-04T09:15Z") from None


class Moment(click.ParamType[float]):
    """An option's time, in Unix seconds: an age such as ``2h``, or an ISO 8601 date or time."""

    name = "age|time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse the text of the option; a number is a time already."""
        if isinstance(value, float):
            return value
        try:
            return moment(str(value), now=time.time())
        except ValueError as error:
            self.fail(str(error), param, ctx)


MOMENT: Final = Moment()
