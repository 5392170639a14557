"""The public side of ``ackfirst dev``: its tunnel, and applications at Nexmo that are pointed at it meanwhile."""

import asyncio
import contextlib
import os
from collections.abc import Iterator

import click
import structlog

from ackfirst.ops.nexmo_api import NexmoApiError
from ackfirst.ops.tunnel import OpenTunnel
from ackfirst.ops.webhooks.borrowed import BorrowedWebhooks
from ackfirst.ops.webhooks.change import WebhookError
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.family import WEBHOOKS
from ackfirst.shared.settings import Settings

#: File of the agent's output, in the data folder.
LOG_FILE = "tunnel.log"


class PublicSide:
    """The side of ``ackfirst dev`` that Nexmo sees.

    Args:
        tunnel: The open tunnel; None without one.
        webhooks: Borrows applications and gives them back.
        application_ids: Applications to borrow.
    """

    def __init__(self, tunnel: OpenTunnel | None, webhooks: BorrowedWebhooks, application_ids: tuple[str, ...]) -> None:
        self._open = tunnel
        self._webhooks = webhooks
        self._application_ids = application_ids

    def rows(self) -> list[str]:
        """Return the four URLs to paste at Nexmo, and what happens to them; nothing without a tunnel."""
        if self._open is None:
            return []
        tunnel = self._open.tunnel
        rows = [tunnel.url + path for path in WEBHOOKS.values()]
        if tunnel.is_temporary:
            rows += [
                f"This name ends with {tunnel.agent}. A URL at Nexmo that does not answer makes callbacks queue there,",
                "for the whole account in the worst case: set it back before you stop, or use --set-webhooks.",
            ]
        return rows

    def borrow(self) -> None:
        """Point the applications at the tunnel. Trouble is said and changes nothing else."""
        if self._open is None or not self._application_ids:
            return
        try:
            asyncio.run(self._webhooks.borrow(self._application_ids, self._open.tunnel.url))
        except (NexmoApiError, WebhookError, ConfigurationError) as error:
            click.echo(f"ackfirst: webhook URLs were not set: {error}", err=True)

    def look(self) -> bool:
        """Say it once when the tunnel's agent has ended. Returns True when there is nothing more to look at."""
        if self._open is None:
            return True
        if self._open.has_ended:
            structlog.get_logger().error(
                "tunnel.ended",
                agent=self._open.tunnel.agent,
                url=self._open.tunnel.url,
                hint="callbacks to this URL now queue at Nexmo: start ackfirst dev again",
            )
            return True
        return False


@contextlib.contextmanager
def public_side(
    settings: Settings, accounts: Accounts, *, tunnel: str | None, borrowed: tuple[str, ...]
) -> Iterator[PublicSide]:
    """Open the tunnel and put webhook URLs back at the end, those of an earlier run that crashed first.

    Raises:
        ConfigurationError: No tunnel can be opened; the message says what was tried.
    """
    webhooks = BorrowedWebhooks(settings, accounts, say=click.echo)
    if webhooks.is_anything_left:
        click.echo("An earlier run has left webhook URLs of a tunnel at Nexmo.")
        asyncio.run(webhooks.put_back())
    with contextlib.ExitStack() as stack:
        opened = None
        if tunnel:
            log_file = settings.data_dir / LOG_FILE
            opened = OpenTunnel(tunnel, port=settings.listen[0].port, log_file=log_file, environ=os.environ)
            stack.enter_context(opened)
        try:
            yield PublicSide(opened, webhooks, borrowed)
        finally:
            if webhooks.is_anything_left:
                asyncio.run(webhooks.put_back())
