"""``ackfirst simulate nexmo-api``: play the management APIs that ``webhooks``, ``doctor`` and ``dev`` call."""

import asyncio
from typing import Any, Final

import click

from ackfirst.simulator.nexmo_api import NexmoAccount, NexmoApis, serve

#: An application with more than messages: what a careless change would lose can be seen.
EXAMPLE: Final[dict[str, Any]] = {
    "capabilities": {
        "messages": {
            "version": "v1",
            "webhooks": {
                "inbound_url": {"address": "https://old.example.com/inbound", "http_method": "POST"},
                "status_url": {"address": "https://old.example.com/status", "http_method": "POST"},
            },
        },
        "voice": {"webhooks": {"answer_url": {"address": "https://old.example.com/answer", "http_method": "GET"}}},
    },
    "privacy": {"improve_ai": False},
}


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="Port on loopback.")
@click.option("--api-key", default="abcd1234", show_default=True, help="The account.")
@click.option("--api-secret", default="account-secret", show_default=True, help="Its account secret.")
@click.option("--applications", type=click.IntRange(0, 1000), default=2, show_default=True, help="Applications it has.")
@click.option("--limit", type=click.IntRange(min=0), help="Answer 429 after so many requests, once.")
def command(*, port: int, api_key: str, api_secret: str, applications: int, limit: int | None) -> None:
    """Play Nexmo's management APIs on this machine until Ctrl-C.

    Applications, the account's SMS settings, numbers and balance, as the published documents describe them: a PUT
    replaces a whole application. Nothing is kept after the end.
    """
    account = NexmoAccount(api_key=api_key, api_secret=api_secret)
    for number in range(1, applications + 1):
        account.add_application(f"Example {number}", **EXAMPLE)
    account.numbers = [{"country": "GB", "msisdn": "447700900001", "moHttpUrl": "https://laptop.example.com/sms"}]
    asyncio.run(_serve(NexmoApis(account, allowed=limit), port))


async def _serve(apis: NexmoApis, port: int) -> None:
    runner, bound = await serve(apis, "127.0.0.1", port)
    account = apis.account
    click.echo("Nexmo's management APIs are played here. In another terminal:\n")
    for name, value in (
        ("NEXMO_API_URL", f"http://127.0.0.1:{bound}"),
        ("NEXMO_REST_URL", f"http://127.0.0.1:{bound}"),
        ("API_KEY", account.api_key),
        ("API_SECRET", account.api_secret),
        ("SIGNATURE_SECRET", "a-signature-secret-for-trials"),
        ("PUBLIC_URL", "https://hooks.example.com"),
    ):
        click.echo(f"  export ACKFIRST_{name}={value}")
    click.echo("\n  ackfirst webhooks show\n\nApplications: " + ", ".join(account.applications) + "\nCtrl-C ends it.")
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
