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
@click.option("--sub-api-key", help="A sub-account with an application of its own. [default: none]")
@click.option("--limit", type=click.IntRange(min=0), help="Answer 429 after so many requests, once.")
def command(
    *, port: int, api_key: str, api_secret: str, applications: int, sub_api_key: str | None, limit: int | None
) -> None:
    """Play Nexmo's management APIs on this machine until Ctrl-C.

    Applications, the account's SMS settings, numbers and balance, as the published documents describe them: a PUT
    replaces a whole application. One number has a URL of its own, and one is linked to each application. Nothing is
    kept after the end.
    """
    account = _account(api_key, api_secret, applications)
    subaccounts = [_account(sub_api_key, f"{api_secret}-of-{sub_api_key}", 1)] if sub_api_key else []
    asyncio.run(_serve(NexmoApis(account, *subaccounts, allowed=limit), port))


def _account(api_key: str, api_secret: str, applications: int) -> NexmoAccount:
    account = NexmoAccount(api_key=api_key, api_secret=api_secret)
    account.numbers = [{"country": "GB", "msisdn": "447700900001", "moHttpUrl": "https://laptop.example.com/sms"}]
    for number in range(1, applications + 1):
        id_ = account.add_application(f"Example {number}", **EXAMPLE)
        account.numbers.append({"country": "GB", "msisdn": f"4477009001{number:02}", "app_id": id_})
    return account


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
    for one in apis.accounts[1:]:
        click.echo(f"\nIn ackfirst.toml, for the sub-account:\n\n  [accounts.{one.api_key}]")
        click.echo(f'  secrets = ["another-secret-for-trials"]\n  api_secret = "{one.api_secret}"')
    ids = (f"{id_} ({one.api_key})" for one in apis.accounts for id_ in one.applications)
    click.echo("\n  ackfirst webhooks show\n\nApplications: " + ", ".join(ids) + "\nCtrl-C ends it.")
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
